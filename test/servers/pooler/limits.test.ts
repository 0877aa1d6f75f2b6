// What a pooler takes away where it lends a session for one transaction alone, and does not keep it for a client that changed it, as RDS
// Proxy does: no client can give that back. The documentation says so; here is where it has it from.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import type { Db } from '../../support/db.ts'
import { startPooler, withoutPooler } from '../../support/pooler.ts'
import { holdTests } from '../../support/registration.ts'
import { tell, until } from '../isolation/invocations.ts'
import { openEnvironment, statements, usePooledFactories } from './factories.ts'

const registered = holdTests()
test('has been run through PgBouncer', { skip: withoutPooler }, () => {})

const { factories, server, administer } = await usePooledFactories()
const one = [{ one: 1 }]

if (!withoutPooler) {
  const sharing = await startPooler(server, 'transaction', { default_pool_size: 1 })
  const untracked = await startPooler(server, 'transaction', { default_pool_size: 1 })
  if (untracked.hasNamedStatements) await untracked.command('SET max_prepared_statements = 0')
  const own = await startPooler(server, 'session')

  for (const factory of factories) {
    const open = ({ options }: typeof sharing, more = {}) => openEnvironment(factory, { ...options, ...more })

    test(`${factory.name}: a setting reaches whoever has the session next, and one of a transaction nobody`, async () => {
      const [first, second] = [open(sharing, { resetSession: true }), open(sharing)]
      const look = (db: Db) => tell(db, "SELECT coalesce(current_setting('app.mine', true), '') AS mine")
      await first.run(statements("BEGIN; SET LOCAL app.mine = 'local'", 'COMMIT'))
      assert.deepEqual(await second.run(look), [{ mine: '' }])
      const seen = await first.run(async db => {
        const connection = await db.take()
        await connection.query("SET app.mine = 'of the first'")
        const seen = await second.run(look)
        connection.release()
        return seen
      })
      assert.deepEqual(seen, [{ mine: 'of the first' }])
      for (const { run } of [first, second]) await run(db => db.end())
    })

    test(`${factory.name}: an advisory lock of a session keeps nobody out`, async () => {
      const [first, second] = [open(sharing), open(sharing)]
      await first.run(statements('SELECT pg_advisory_lock(7)'))
      assert.deepEqual(await second.run(db => tell(db, 'SELECT pg_try_advisory_lock(7) AS mine')), [
        { mine: true },
      ])
      await second.run(statements('SELECT pg_advisory_unlock_all()'))
      for (const { run } of [first, second]) await run(db => db.end())
    })

    test(`${factory.name}: a notification is heard where a client has its session to itself`, async () => {
      const { run } = open(own)
      const heard = await run(async db => {
        const connection = await db.take()
        const words: unknown[] = []
        ;(connection.raw as pg.Client).on('notification', ({ payload }) => words.push(payload))
        await connection.query('LISTEN news')
        await administer("NOTIFY news, 'word'")
        await until(() => words.length > 0, 'it is heard')
        await connection.query('UNLISTEN *')
        connection.release()
        return words
      })
      assert.deepEqual(heard, ['word'])
      await run(db => db.end())
    })

    test(`${factory.name}: a named statement fails where the pooler keeps no track of them`, async () => {
      const both = [open(untracked), open(untracked)] as const
      const named = { name: `echo of ${factory.name}`, text: 'SELECT 1 AS one' }
      const ask = (db: Db) => tell({ query: async () => (await (db.raw as pg.Pool).query(named)).rows }, '')
      const [first, second] = both
      assert.deepEqual(await first.run(ask), one)
      // duplicate_prepared_statement
      assert.equal(await second.run(ask), '42P05')
      await administer(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'notes_app'`,
      )
      // invalid_sql_statement_name: only a new connection has pg prepare it again.
      assert.equal(await first.run(ask), '26000')
      assert.deepEqual(await first.run(ask), one)
      assert.equal(first.events('connection:opened').length, 2)
      for (const { run } of both) await run(db => db.end())
    })
  }
}

registered()
