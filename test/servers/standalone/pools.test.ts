// What a pool promises that no middleware looks after.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { RdsIamError } from '../../../src/index.ts'
import { inLambda, recordingLogger } from '../../support/lambda.ts'
import { startRelay } from '../../support/relay.ts'
import { type PoolOptions, type StandaloneKind, useStandaloneKinds } from './kinds.ts'

const { kinds, missing } = await useStandaloneKinds()
test('has MySQL or MariaDB', { skip: missing === '' ? false : missing }, () => {})

const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
before(() => process.on('unhandledRejection', note))
after(() => process.off('unhandledRejection', note))

/** A pool behind a gateway of its own. */
async function open({ gate, create }: StandaloneKind, given: PoolOptions = {}, gated = gate()) {
  const { gateway, decisions, options } = await gated
  const logger = recordingLogger()
  const pool = create({ ...options, logger, ...given })
  const reasons = () =>
    logger.lines.flatMap(({ fields }) => (fields.event === 'connection:closed' ? [fields.reason] : []))
  return { pool, gateway, decisions, options, reasons, logger }
}

/** Reaches the gateway through a relay. */
async function openThroughRelay(kind: StandaloneKind, given: PoolOptions = {}) {
  const gated = await kind.gate()
  const relay = await startRelay(gated.gateway.port)
  const address = { port: relay.port, endpoint: { host: 'localhost', port: gated.gateway.port } }
  return { relay, ...(await open(kind, { ...address, ...given }, Promise.resolve(gated))) }
}

const times = (count: number, run: () => Promise<unknown>) => Promise.all(Array.from({ length: count }, run))

/** Sessions that ran side by side. */
async function sessionsOf(
  pool: { take(): Promise<{ query(sql: string): Promise<readonly unknown[]>; release(): void }> },
  sql: string,
  count: number,
) {
  const taken = await Promise.all(Array.from({ length: count }, () => pool.take()))
  const rows = await Promise.all(taken.map(connection => connection.query(sql)))
  for (const connection of taken) connection.release()
  return rows.map(([row]) => Number((row as { value: unknown }).value))
}

const promises: Readonly<Record<string, (kind: StandaloneKind) => Promise<void>>> = {
  async 'connects when it is first asked to, and opens what runs side by side with one token'(kind) {
    const { pool, gateway, decisions } = await open(kind, { max: 4 })
    await turn()
    assert.equal(gateway.stats().connections, 0)
    const sessions = await sessionsOf(pool, kind.sql.session, 4)
    assert.equal(new Set(sessions).size, 4)
    await times(8, () => pool.query(kind.sql.session))
    assert.equal(gateway.stats().connections, 4)
    assert.equal(new Set(decisions.map(({ tokenId }) => tokenId)).size, 1)
    await pool.close()
  },

  async 'connects at once in Lambda, and its first query waits for that connection'(kind) {
    const { gateway, options } = await kind.gate()
    const pool = inLambda(() => kind.create(options))
    await Promise.all([pool.query(kind.sql.session), pool.query(kind.sql.session)])
    assert.ok(gateway.stats().connections <= 2)
    await pool.close()
    const lazy = inLambda(() => kind.create({ ...options, prefetch: false }))
    const before = gateway.stats().connections
    for (let count = 0; count < 20; count += 1) await turn()
    assert.equal(gateway.stats().connections, before)
    await lazy.close()
  },

  async 'needs one connection for 20 queries that fail one after the other'(kind) {
    const { pool, gateway } = await open(kind)
    for (let count = 0; count < 20; count += 1)
      await assert.rejects(pool.query('SELECT * FROM nowhere'), kind.isMissingTable)
    assert.equal(gateway.stats().connections, 1)
    await pool.close()
  },

  async 'needs one connection for ten queries one after the other whose sessions are reset'(kind) {
    if (!kind.sql.canReset) return
    const { pool, gateway } = await open(kind, { resetSession: true })
    for (let count = 0; count < 10; count += 1) await pool.query(kind.sql.session)
    assert.equal(gateway.stats().connections, 1)
    await pool.close()
  },

  async 'rolls back what a user left open, before another gets the connection'(kind) {
    const { pool } = await open(kind, { max: 1 })
    const connection = await pool.take()
    await connection.query('BEGIN')
    await connection.query("INSERT INTO note VALUES ('left open')")
    connection.release()
    assert.deepEqual(await pool.query("SELECT text FROM note WHERE text = 'left open'"), [])
    await pool.close()
  },

  async 'replaces a connection that ended while the process could not look'(kind) {
    const { pool, gateway, reasons } = await open(kind, { max: 1 })
    const [session = 0] = await sessionsOf(pool, kind.sql.session, 1)
    await kind.end([session])
    while (gateway.stats().open > 0) await turn()
    const [next] = await sessionsOf(pool, kind.sql.session, 1)
    assert.notEqual(next, session)
    assert.deepEqual(reasons(), ['lost'])
    await pool.close()
  },

  async 'finds connections whose flow was silently dropped by one ping, and replaces them'(kind) {
    const { pool, relay, gateway, reasons } = await openThroughRelay(kind, { max: 3, pingAfterIdleMs: 50 })
    await sessionsOf(pool, kind.sql.session, 3)
    relay.swallow()
    relay.heal()
    const busyUntilMs = Date.now() + 60
    while (Date.now() < busyUntilMs);
    const startedMs = Date.now()
    await pool.query(kind.sql.session)
    assert.ok(Date.now() - startedMs < 2_500, 'one ping, not three')
    assert.deepEqual(reasons(), ['silent', 'silent', 'silent'])
    assert.equal(gateway.stats().connections, 4)
    await pool.close()
    relay.close()
  },

  async 'keeps a connection that answers the ping'(kind) {
    const { pool, gateway, logger } = await open(kind, { pingAfterIdleMs: 0 })
    for (let count = 0; count < 3; count += 1) await pool.query(kind.sql.session)
    assert.equal(gateway.stats().connections, 1)
    const checks = logger.lines.filter(({ fields }) => fields.event === 'connection:checked')
    assert.equal(checks.length, 2)
    await pool.close()
  },

  async 'signs a new token for a connection that is opened when the first has died'(kind) {
    let now = Date.now()
    const { pool, decisions } = await open(kind, { max: 2 }, kind.gate({ now: () => now }))
    await pool.query(kind.sql.session)
    // At the gateway's clock, the kept token has died.
    now += 16 * 60_000
    const asked = sessionsOf(pool, kind.sql.session, 2).catch((error: unknown) => error)
    // Every token is of the real clock: a new one is refused for its age as well until that is put back.
    while (decisions.filter(({ verdict }) => verdict === 'refused').length === 0) await turn()
    now -= 16 * 60_000
    assert.ok(Array.isArray(await asked))
    assert.ok(decisions.some(({ reason }) => reason === 'ExpiredToken'))
    await pool.close()
  },

  async 'says within `connectTimeoutMs` that all connections are in use'(kind) {
    const { pool } = await open(kind, { max: 1, connectTimeoutMs: 300 })
    const taken = await pool.take()
    await assert.rejects(pool.query(kind.sql.session), { code: 'RDS_IAM_THROTTLED' })
    taken.release()
    await pool.query(kind.sql.session)
    await pool.close()
  },

  async 'says what keeps it from connecting, to everybody who asks, and connects when that is over'(kind) {
    const { pool, relay } = await openThroughRelay(kind, { connectTimeoutMs: 300 })
    await relay.refuse()
    const errors = await times(3, () => pool.query(kind.sql.session).catch((error: unknown) => error))
    for (const error of errors as unknown[]) {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_UNREACHABLE')
    }
    await relay.accept()
    await pool.query(kind.sql.session)
    await pool.close()
    relay.close()
  },

  async 'closes what is idle at once and what is in use when it is released, and then says that it is closed'(
    kind,
  ) {
    const { pool, gateway } = await open(kind, { max: 2 })
    await sessionsOf(pool, kind.sql.session, 2)
    const taken = await pool.take()
    const closing = pool.close()
    assert.equal(pool.close(), closing)
    await assert.rejects(pool.query(kind.sql.session), (error: unknown) => {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_CLOSED')
      assert.match(error.message, /The pool or middleware was closed/)
      return true
    })
    // What it has, it may still use.
    assert.equal((await taken.query(kind.sql.session)).length, 1)
    taken.release()
    await closing
    while (gateway.stats().open > 0) await turn()
    await pool[Symbol.asyncDispose]()
  },

  async 'ends with the block that it is used in'(kind) {
    const { gateway, options } = await kind.gate()
    {
      await using pool = kind.create(options)
      await pool.query(kind.sql.session)
      assert.equal(gateway.stats().open, 1)
    }
    while (gateway.stats().open > 0) await turn()
  },

  async 'closes a pool that never connected, and one that its user has ended'(kind) {
    const { options } = await kind.gate()
    await kind.create(options).close()
    const ended = kind.create(options)
    await ended.query(kind.sql.session)
    await ended.end()
    await ended.close()
    await assert.rejects(ended.query(kind.sql.session), { code: 'RDS_IAM_CLOSED' })
  },
}

for (const kind of kinds)
  for (const [promise, run] of Object.entries(promises)) test(`${kind.name} ${promise}`, () => run(kind))

test('no promise was left behind', () => assert.deepEqual(unhandled, []))
