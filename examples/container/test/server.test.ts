import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { startDatabase } from 'rds-iam-kit'
import { nextOutput, start } from './process.ts'

const lifetimeMs = 15 * 60_000

// The gateway's clock stands still once it is set.
let nowMs: number | undefined
const database = await startDatabase({
  engine: 'postgres',
  users: ['visits_app'],
  setup: 'CREATE TABLE visit (id serial PRIMARY KEY)',
  now: () => nowMs ?? Date.now(),
})
const server = start('server.ts', database)
after(async () => {
  server.kill('SIGKILL')
  await database.close()
})
const port = Number(/listening on (\d+)/.exec(await nextOutput(server))?.[1])

async function send(method: string, path: string) {
  const response = await fetch(`http://localhost:${port}${path}`, { method })
  return { status: response.status, body: await response.text() }
}

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'visits_app'")
  while (database.stats().open > 0) await setImmediate()
}

/** Locks the table for a second, so that requests wait. */
async function lockVisits(): Promise<{ readonly unlocked: Promise<unknown> }> {
  const isLocked = "SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'visit'::regclass"
  const unlocked = database.query('BEGIN; LOCK TABLE visit; SELECT pg_sleep(1); COMMIT')
  while ((await database.query(isLocked)).length === 0) await setImmediate()
  return { unlocked }
}

async function waitForQueries(count: number): Promise<void> {
  const waiting = "SELECT FROM pg_stat_activity WHERE usename = 'visits_app' AND wait_event_type = 'Lock'"
  while ((await database.query(waiting)).length < count) await setImmediate()
}

test('is healthy without a connection to the database', async () => {
  assert.deepEqual(await send('GET', '/health'), { status: 200, body: '"ok"' })
  assert.equal(database.stats().connections, 0)
})

test('writes and reads', async () => {
  assert.deepEqual(await send('POST', '/visits'), { status: 201, body: '{"id":1}' })
  assert.deepEqual(await send('GET', '/visits'), { status: 200, body: '{"count":1}' })
  assert.equal(database.stats().connections, 1)
})

test('answers requests side by side, each by a connection of its own', async () => {
  const { unlocked } = await lockVisits()
  const answers = Array.from({ length: 4 }, () => send('GET', '/visits'))
  await waitForQueries(4)
  assert.equal(database.stats().open, 4)
  await unlocked
  for (const { status } of await Promise.all(answers)) assert.equal(status, 200)
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  assert.equal((await send('GET', '/visits')).status, 200)
})

test('keeps open connections when their token expires, and opens new ones with another', async () => {
  const last = database.decisions.at(-1)
  // A token tells the second that it was signed in: the next one is to be another.
  await setTimeout(1100)
  nowMs = Number(last?.tokenSignedAt) + lifetimeMs + 500
  const { connections } = database.stats()
  assert.equal((await send('GET', '/visits')).status, 200)
  assert.equal(database.stats().connections, connections)

  await killConnections()
  assert.equal((await send('GET', '/visits')).status, 200)
  const [expired, admitted] = database.decisions.slice(-2)
  assert.equal(expired?.reason, 'ExpiredToken')
  assert.equal(expired?.tokenId, last?.tokenId)
  assert.equal(admitted?.verdict, 'admitted')
  assert.notEqual(admitted?.tokenId, last?.tokenId)
})

test('answers what is under way when SIGTERM comes, takes nothing new, and ends with code 0', async () => {
  const exit = once(server, 'exit')
  await lockVisits()
  const answer = send('POST', '/visits')
  await waitForQueries(1)
  server.kill('SIGTERM')
  await assert.rejects(async () => {
    for (;;) await send('GET', '/health')
  })
  assert.equal(server.exitCode, null)

  assert.deepEqual(await answer, { status: 201, body: '{"id":2}' })
  const answeredMs = performance.now()
  assert.deepEqual(await exit, [0, null])
  assert.ok(performance.now() - answeredMs < 2000)
  while (database.stats().open > 0) await setImmediate()
})
