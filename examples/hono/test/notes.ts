import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { handle } from 'hono/aws-lambda'
import { type Database, startDatabase } from 'rds-iam-kit'
import { httpEvent } from './event.ts'

interface Engine {
  readonly engine: 'postgres' | 'mysql'
  readonly setup: string
  load(): Promise<{
    readonly handler: ReturnType<typeof handle>
    readonly pool: { query(sql: string): Promise<unknown>; close(): Promise<void> }
  }>
  /** Has the server end all sessions of the user. */
  kill(database: Database): Promise<void>
}

const lifetimeMs = 15 * 60_000

/** Tests the app with one engine. Where its server is not installed, the tests are skipped. */
export async function testNotes({ engine, setup, load, kill }: Engine): Promise<void> {
  // The gateway's clock stands still once it is set.
  let nowMs: number | undefined
  const now = () => nowMs ?? Date.now()
  const database = await startDatabase({ engine, users: ['orders_app'], setup, now }).catch(error => {
    if (error.name !== 'NotInstalled') throw error
    test(`the app with ${engine}`, { skip: error.message }, () => {})
  })
  if (!database) return
  // With the variable that Lambda sets, the pool connects when the function is loaded.
  Object.assign(process.env, database.environment, { AWS_LAMBDA_FUNCTION_NAME: 'notes' })
  const { handler, pool } = await load()
  after(async () => {
    await pool.close()
    await database.close()
  })

  const send = async (method: string, path: string, body?: unknown) => {
    const response = await handler(httpEvent(method, path, body))
    return { status: response.statusCode, body: JSON.parse(response.body) }
  }

  const killConnections = async () => {
    await kill(database)
    while (database.stats().open > 0) await setImmediate()
  }

  test('connects while the function initialises, before the first event', async () => {
    while (database.stats().admitted < 1) await setImmediate()
    await send('GET', '/notes')
    assert.equal(database.stats().connections, 1)
  })

  test('writes and reads a note', async () => {
    const written = await send('POST', '/notes', { text: 'milk' })
    assert.equal(written.status, 201)
    assert.deepEqual(await send('GET', '/notes'), { status: 200, body: [written.body] })
  })

  test('answers 400 where the text is missing', async () => {
    assert.equal((await send('POST', '/notes', {})).status, 400)
  })

  test('opens as many connections as queries run side by side', async () => {
    const body = { count: 1, longest: 4, latest: 1 }
    assert.deepEqual(await send('GET', '/overview'), { status: 200, body })
    assert.equal(database.stats().open, 3)
    await send('GET', '/overview')
    assert.equal(database.stats().connections, 3)
  })

  test('goes on after its connections were killed between two events', async () => {
    await killConnections()
    assert.equal((await send('GET', '/overview')).status, 200)
  })

  test('keeps open connections when their token expires, and opens new ones with another', async () => {
    const last = database.decisions.at(-1)
    // A token tells the second that it was signed in: the next one is to be another.
    await setTimeout(1100)
    nowMs = Number(last?.tokenSignedAt) + lifetimeMs + 500
    const { connections } = database.stats()
    await send('GET', '/overview')
    assert.equal(database.stats().connections, connections)

    await killConnections()
    assert.equal((await send('GET', '/notes')).status, 200)
    const [expired, admitted] = database.decisions.slice(-2)
    assert.equal(expired?.reason, 'ExpiredToken')
    assert.equal(expired?.tokenId, last?.tokenId)
    assert.equal(admitted?.verdict, 'admitted')
    assert.notEqual(admitted?.tokenId, last?.tokenId)
  })

  test('leaves no connection behind when the pool is closed', async () => {
    await pool.close()
    while (database.stats().open > 0) await setImmediate()
    await assert.rejects(pool.query('SELECT 1'), { code: 'RDS_IAM_CLOSED' })
  })
}
