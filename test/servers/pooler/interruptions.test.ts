// What ends or holds up sessions behind a pooler: cut-offs, cancels, freezes, lost flows, ended sessions, pauses.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { encodeInt32 } from '../../../kit/src/wire/postgres-messages.ts'
import type { RdsIamOptions } from '../../../src/pg.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { startPooler, withoutPooler } from '../../support/pooler.ts'
import { holdTests } from '../../support/registration.ts'
import { startRelay } from '../../support/relay.ts'
import { postgresSql } from '../../support/sql.ts'
import { tell, until } from '../isolation/invocations.ts'
import { openEnvironment, type PooledFactory, session, usePooledFactories } from './factories.ts'

const registered = holdTests()
test('has been run through PgBouncer', { skip: withoutPooler }, () => {})

const { factories, server, administer } = await usePooledFactories()
const one = [{ one: 1 }]
const ask = (db: Parameters<typeof tell>[0]) => tell(db, 'SELECT 1 AS one')

/**
 * Ends what a client runs, as libpq's PQcancel does, by a connection of its own.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
async function cancel(client: object, port: number): Promise<void> {
  const { processID, secretKey } = client as { readonly processID: number; readonly secretKey: number }
  const socket = connect(port, '127.0.0.1')
  // The pooler forgets the request of who leaves before it has passed it on.
  socket.write(Buffer.concat([16, 80877102, processID, secretKey].map(encodeInt32)))
  await once(socket.resume(), 'close')
}

const sleeping = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
const untilSleeping = () =>
  until(async () => (await administer(`SELECT ${sleeping}`)).length > 0, 'the query runs')

for (const mode of withoutPooler ? [] : (['session', 'transaction'] as const)) {
  const { options, command, port } = await startPooler(server, mode, { default_pool_size: 1 })
  // A lost flow keeps its session at the server, in session mode until the pooler finds that it is lost.
  const roomy = await startPooler(server, mode, { default_pool_size: 2 * factories.length })
  const relay = await startRelay(roomy.port)

  /** An environment that gives back the only session of the pooler at the end of its test. */
  const open = (t: TestContext, factory: PooledFactory, more: RdsIamOptions = {}) => {
    const environment = openEnvironment(factory, { ...options, ...more })
    t.after(() => environment.run(db => db.end()))
    const reasons = () => environment.events('connection:closed').map(({ fields }) => fields.reason)
    return { ...environment, reasons }
  }
  const untilGone = (what: 'SERVERS' | 'CLIENTS') =>
    until(
      async () => (await command(`SHOW ${what}`)).every(({ user }) => user !== 'notes_app'),
      `the pooler has no more ${what}`,
    )

  for (const factory of factories) {
    const check = (text: string, run: (t: TestContext) => Promise<void>) =>
      test(`${factory.name} behind a pooler in ${mode} mode ${text}`, run)

    if (factory.isMiddleware)
      check('gives back the only session where a handler is cut off in a transaction', async t => {
        const { run, reasons } = open(t, factory)
        // The server hears of it when it would answer.
        t.after(() => administer(`SELECT pg_terminate_backend(pid, 5000) ${sleeping}`))
        await run(ask)
        const cutOff = run(async db => {
          const connection = await db.take()
          await connection.query("BEGIN; INSERT INTO note VALUES ('cut off')")
          await connection.query(postgresSql.sleep)
        }, lambdaContext(300))
        await assert.rejects(async () => cutOff, { name: 'TimeoutError' })
        assert.deepEqual(await run(db => tell(db, 'SELECT text FROM note')), [])
        assert.equal(reasons().length, 1)
      })

    check('has a query cancelled, and keeps the connection', async t => {
      const { run, events } = open(t, factory)
      const code = await run(async db => {
        const connection = await db.take()
        const slept = tell(connection, postgresSql.sleep)
        await untilSleeping()
        await cancel(connection.raw, port)
        const told = await slept
        connection.release()
        return told
      })
      assert.equal(code, '57014')
      assert.deepEqual(await run(ask), one)
      assert.equal(events('connection:opened').length, 1)
    })

    check('checks its connection after a freeze, and notices a flow that was lost in it', async t => {
      const { run, events, reasons } = open(t, factory, {
        ...roomy.options,
        port: relay.port,
        pingAfterIdleMs: 0,
      })
      for (let count = 0; count < 2; count += 1) assert.deepEqual(await run(ask), one)
      assert.ok(events('connection:checked').length > 0)
      assert.equal(events('connection:opened').length, 1)
      relay.swallow()
      relay.heal()
      assert.deepEqual(await run(ask), one)
      assert.deepEqual(reasons(), ['silent'])
    })

    check('goes on after its session at the server was ended', async t => {
      const { run, reasons } = open(t, factory)
      await administer(`SELECT pg_terminate_backend(${await run(session)}, 5000)`)
      await untilGone('SERVERS')
      // In transaction mode, an idle client has no session that could be ended.
      if (mode === 'session') await untilGone('CLIENTS')
      assert.deepEqual(await run(ask), one)
      assert.deepEqual(reasons(), mode === 'session' ? ['lost'] : [])
    })

    check('passes on what ends its session in a query, and goes on', async t => {
      const { run } = open(t, factory)
      const ended = await run(async db => {
        const connection = await db.take()
        await connection.query('BEGIN')
        const told = tell(connection, postgresSql.sleep)
        await untilSleeping()
        await administer(`SELECT pg_terminate_backend(pid, 5000) ${sleeping}`)
        const code = await told
        connection.release()
        return code
      })
      assert.equal(ended, '57P01')
      assert.deepEqual(await run(ask), one)
    })

    check('waits while the pooler is paused', async t => {
      await command('PAUSE')
      const { run } = open(t, factory, { pingAfterIdleMs: 0 })
      const answer = run(ask)
      const waits = async () => (await command('SHOW POOLS')).some(({ cl_waiting }) => Number(cl_waiting) > 0)
      await until(waits, 'it waits').finally(() => command('RESUME'))
      assert.deepEqual(await answer, one)
    })
  }
}

if (!withoutPooler) {
  test('every factory connects again after the pooler ended idle connections', async t => {
    const { options, command } = await startPooler(server, 'transaction', { client_idle_timeout: 1 })
    const environments = factories.map(factory => openEnvironment(factory, options))
    for (const { run } of environments) assert.deepEqual(await run(ask), one)
    const clients = async () => (await command('SHOW CLIENTS')).filter(({ user }) => user === 'notes_app')
    await until(async () => (await clients()).length === 0, 'the pooler has no more clients')
    for (const { run, events } of environments) {
      assert.deepEqual(await run(ask), one)
      assert.equal(events('connection:opened').length, 2)
      t.after(() => run(db => db.end()))
    }
  })

  for (const factory of factories) {
    test(`${factory.name} passes on that the pooler does not get into the database any more, and goes on when it does`, async t => {
      const { options, command } = await startPooler(server, 'transaction', {
        server_login_retry: 0,
        query_wait_timeout: 1,
      })
      const { run } = openEnvironment(factory, options)
      t.after(() => run(db => db.end()))
      assert.deepEqual(await run(ask), one)
      await administer('ALTER USER notes_app NOLOGIN')
      try {
        await command('RECONNECT')
        await assert.rejects(
          async () => run(db => db.query('SELECT 1')),
          /not permitted to log in|server login|query_wait_timeout/,
        )
      } finally {
        await administer('ALTER USER notes_app LOGIN')
      }
      assert.deepEqual(await run(ask), one)
    })
  }
}

registered()
