// What becomes of sessions where a pooler stands between, as RDS Proxy does: PgBouncer, before a real server.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import { startPooler, withoutPooler } from '../../support/pooler.ts'
import { holdTests } from '../../support/registration.ts'
import { postgresSql } from '../../support/sql.ts'
import { tell } from '../isolation/invocations.ts'
import { openEnvironment, session, statements, usePooledFactories } from './factories.ts'

const registered = holdTests()
test('has been run through PgBouncer', { skip: withoutPooler }, () => {})

const { factories, server } = await usePooledFactories()

for (const mode of withoutPooler ? [] : (['session', 'transaction'] as const)) {
  // In the session mode each client has one to itself, in the other one all have to share.
  const pooler = await startPooler(server, mode, { default_pool_size: mode === 'session' ? 2 : 1 })
  const { options } = pooler

  for (const factory of factories) {
    const title = (text: string) => `${factory.name} behind a pooler in ${mode} mode ${text}`

    test(title('logs in once for twenty invocations'), async () => {
      const { run, events } = openEnvironment(factory, options)
      const sessions = new Set<unknown>()
      for (let count = 0; count < 20; count += 1) sessions.add(await run(session))
      assert.equal(sessions.size, 1)
      assert.equal(events('connection:opened').length, 1)
      await run(db => db.end())
    })

    test(title('leaves no transaction to the next invocation, and none at the server'), async () => {
      const [first, second] = [openEnvironment(factory, options), openEnvironment(factory, options)]
      const left = ['BEGIN', 'LOCK TABLE note', "INSERT INTO note VALUES ('left')"]
      for (const did of [left, [...left, 'SELECT nonsense']]) {
        await first.run(statements(...did)).catch(error => assert.equal(error.code, '42703'))
        // The lock, and in transaction mode the only session, are free although the first one sends nothing more.
        assert.deepEqual(await second.run(db => tell(db, 'SELECT text FROM note')), [])
        assert.deepEqual(await first.run(db => tell(db, 'SELECT text FROM note')), [])
      }
      assert.equal(first.events('connection:opened').length, 1)
      assert.equal(first.events('transaction:rolled-back').length, 2)
      for (const { run } of [first, second]) await run(db => db.end())
    })

    const isLost = mode === 'transaction' && !pooler.hasNamedStatements
    test(title('runs named statements'), {
      skip: isLost && 'this PgBouncer has no max_prepared_statements',
    }, async () => {
      const both = [openEnvironment(factory, options), openEnvironment(factory, options)]
      for (const number of [1, 2, 3]) {
        const named = { name: 'echo', text: 'SELECT $1::int AS number', values: [number] }
        for (const { run } of both) {
          const { rows } = (await run(db => (db.raw as pg.Pool).query(named))) as pg.QueryResult
          assert.deepEqual(rows, [{ number }])
        }
      }
      for (const { run, events } of both) {
        assert.equal(events('connection:opened').length, 1)
        await run(db => db.end())
      }
    })

    test(title('lets settings cross unless told otherwise, and says so once'), async () => {
      const { run, events } = openEnvironment(factory, options)
      await run(statements("SET app.mine = 'crosses'"))
      const look = "SELECT current_setting('app.mine', true) AS value"
      for (let count = 0; count < 2; count += 1)
        assert.deepEqual(await run(db => tell(db, look)), [{ value: 'crosses' }])
      const reasons = events('session:not-reset').map(({ fields }) => fields.reason)
      assert.deepEqual(reasons, factory.isMiddleware ? ['rds-proxy'] : [])
      await run(statements('RESET ALL'))
      await run(db => db.end())
    })

    test(title('puts a session back where it is told to'), async () => {
      const { run, events } = openEnvironment(factory, { ...options, resetSession: true })
      const { change, look, changed, clean } = postgresSql
      for (let count = 0; count < 3; count += 1) {
        const seen = await run(async db => {
          const connection = await db.take()
          try {
            for (const sql of change) await connection.query(sql)
            return await tell(connection, look)
          } finally {
            connection.release()
          }
        })
        assert.deepEqual(seen, [changed])
        assert.deepEqual(await run(db => tell(db, look)), [clean])
      }
      assert.equal(events('connection:opened').length, 1)
      await run(db => db.end())
    })
  }
}

registered()
