// What an invocation leaves running, locked or open, and the one behind it in the same process.
import assert from 'node:assert/strict'
import type { RdsIamOptions } from '../../../src/pg.ts'
import type { Bench, Subject } from '../bench.ts'
import { waitForNone } from '../engines.ts'
import type { Event } from '../functions/event.ts'
import type { Fault } from '../table.ts'

/** What is left running, and the options of the driver without which it cannot be. */
type Leaving = readonly [leaves: string, client?: object]

const leavings: Readonly<Record<Bench['engine']['protocol'], readonly Leaving[]>> = {
  postgres: [
    ['a query that nobody awaits'],
    ['a query with a callback'],
    ['a pg.Query without listeners'],
    ['a pg.Query with listeners'],
    ['an open cursor'],
    ['a half-read QueryStream'],
    ['an unfinished COPY FROM STDIN'],
    ['a half-read COPY TO STDOUT'],
    ['several queries of a pipeline', { pipeline: true }],
    ['LISTEN'],
  ],
  mysql: [
    ['a query that nobody awaits'],
    ['a query with a callback'],
    ['a query without listeners'],
    ['a query with listeners'],
    ['a half-read stream'],
    ['LOAD DATA LOCAL INFILE of a stream that never ends'],
    ['a prepared statement'],
    ['several statements of one query', { multipleStatements: true }],
  ],
}

const names = [...new Set(Object.values(leavings).flatMap(all => all.map(([leaves]) => leaves)))]

/** How the handler ends with it, and what happens then. */
interface Way {
  readonly name: string
  readonly event: Event
  readonly slow?: true
  readonly poolOnly?: true
  readonly notStandalone?: string
  /** Whether the server ends the session behind the invocation. */
  readonly killed?: true
}

const noMiddleware = 'there is no other middleware'

const ways: readonly Way[] = [
  { name: 'returns', event: {} },
  { name: 'throws', event: { ending: 'throws' } },
  {
    name: 'does not release its connection',
    event: { ending: 'keeps the connection' },
    slow: true,
    poolOnly: true,
    notStandalone: 'no invocation bounds the pool: what is not released is in use',
  },
  { name: 'returns, and the server ends the session', event: {}, slow: true, killed: true },
  {
    // Where the server ends that session too, nobody knows that the handler is over: it hears of its queries.
    name: "throws, another middleware's onError answers, so that no other runs",
    event: { ending: 'throws', late: 'answers the error' },
    slow: true,
    notStandalone: noMiddleware,
  },
]

async function leave(bench: Bench, leaves: string, way: Way): Promise<string | undefined> {
  const { engine, site, isPool } = bench
  const found = leavings[engine.protocol].find(([name]) => name === leaves)
  if (found === undefined) return `— (${engine.name}'s driver has no such thing)`
  if (way.poolOnly && !isPool) return '— (nothing is taken of a client)'
  const options = { max: 1, client: found[1] } as Partial<RdsIamOptions>
  const subject = await bench.start({ options })
  await subject.ask()
  // No time for what is left running to end by itself.
  const { error } = await subject.invoke({ ...way.event, leaves }, 5_000)
  const fails = way.event.ending === 'throws' && way.event.late === undefined
  assert.equal(error?.errorMessage, fails ? 'the handler failed' : undefined)
  if (way.killed) {
    await engine.endSessions(site.servers.first)
    // Who reads nothing is not told: it is the server that has nobody left.
    await waitForNone(site.servers.first, engine.sessions)
  }
  await subject.ask({}, 5_000)
  await subject.ask({}, 5_000)
  assert.doesNotMatch(subject.logs(), /Uncaught Exception|Unhandled Promise Rejection/)
  return undefined
}

const leaveFaults = ways.flatMap(way =>
  names.map((leaves): Fault => {
    const { slow, notStandalone } = way
    return {
      name: `the handler ${way.name}, and leaves ${leaves}`,
      ...(slow && { slow }),
      ...(notStandalone !== undefined && { notStandalone }),
      run: bench => leave(bench, leaves, way),
    }
  }),
)

/** A lock that an invocation leaves, and SQL of another session that waits for it, or answers 0 as `free`. */
interface Lock {
  readonly name: string
  readonly take: readonly string[]
  readonly wait: string
  readonly needsReset?: true
}

const row: Lock = {
  name: 'a row of an open transaction',
  take: ['BEGIN', "UPDATE place SET name = 'mine'"],
  wait: 'UPDATE place SET name = name',
}

const locks: Readonly<Record<Bench['engine']['protocol'], readonly Lock[]>> = {
  postgres: [
    row,
    {
      name: 'a lock of the session',
      take: ['SELECT pg_advisory_lock(42)'],
      wait: 'SELECT pg_advisory_lock(42)',
    },
    { name: 'a table', take: ['BEGIN', 'LOCK TABLE place'], wait: 'UPDATE place SET name = name' },
  ],
  mysql: [
    row,
    {
      name: 'a lock of the session',
      take: ["SELECT GET_LOCK('news', 0)"],
      wait: "SELECT GET_LOCK('news', 4) AS free",
      needsReset: true,
    },
    { name: 'a table', take: ['LOCK TABLES place WRITE'], wait: 'UPDATE place SET name = name' },
  ],
}

/** The server has been told before the response, so that a frozen process keeps nobody waiting. */
async function lock(bench: Bench, name: string): Promise<string | undefined> {
  const { engine, site, start } = bench
  const { take, wait, needsReset } = locks[engine.protocol].find(lock => lock.name === name) as Lock
  if (needsReset && !engine.sql.canReset) return '— (MySQL before 5.7.3 cannot take it back)'
  const subject: Subject = await start({ options: { max: 1 } })
  const { session } = await subject.ask()
  const { error } = await subject.invoke({ sql: take })
  // Lambda freezes no process before it asks for its next event.
  await subject.whenIdle()
  subject.freeze()
  assert.equal(error, undefined)
  const waiting = site.servers.first.query(wait, 'notes')
  const tooLate = Symbol('too late')
  const { promise: late, resolve: giveUp } = Promise.withResolvers<typeof tooLate>()
  const timer = setTimeout(giveUp, 5_000, tooLate)
  const result = await Promise.race([waiting, late])
  clearTimeout(timer)
  // Nothing waits for ever then.
  if (result === tooLate) await engine.endSessions(site.servers.first)
  subject.thaw()
  const [answered] = await waiting
  assert.notEqual(result, tooLate, 'the frozen function still holds it')
  assert.notEqual(Number(answered?.free ?? 1), 0, 'the frozen function still holds it')
  assert.equal((await subject.ask()).session, session)
  return undefined
}

const lockFaults = ['a row of an open transaction', 'a lock of the session', 'a table'].map(
  (name): Fault => ({
    name: `the handler leaves a lock, and the function is frozen behind its response: ${name}`,
    notStandalone: 'no response ends the use of a pool',
    run: bench => lock(bench, name),
  }),
)

export const isolationFaults: readonly Fault[] = [...leaveFaults, ...lockFaults]
