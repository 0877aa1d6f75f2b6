import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg from 'pg'
import { startDatabase } from 'rds-iam-kit'
import type { Schema } from '../src/schema.ts'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })

const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
})
Object.assign(process.env, database.environment)
const { db, pool } = await import('../src/postgres.ts')
after(async () => {
  await pool.close()
  await database.close()
})

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

async function countSleeping(): Promise<number> {
  const [row] = await database.query(
    "SELECT count(*)::int AS sleeping FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'",
  )
  return Number(row?.sleeping)
}

test('writes and reads in a transaction', async () => {
  await db.transaction().execute(async tx => {
    const { id } = await tx
      .insertInto('note')
      .values({ text: 'milk' })
      .returning('id')
      .executeTakeFirstOrThrow()
    const rows = await tx.selectFrom('note').selectAll().where('id', '=', id).execute()
    assert.deepEqual(rows, [{ id, text: 'milk' }])
  })
  assert.equal((await db.selectFrom('note').selectAll().execute()).length, 1)
})

test('leaves nothing of a transaction that fails', async () => {
  const failing = db.transaction().execute(async tx => {
    await tx.insertInto('note').values({ text: 'bread' }).execute()
    throw new Error('no bread')
  })
  await assert.rejects(failing, /no bread/)
  assert.equal((await db.selectFrom('note').selectAll().execute()).length, 1)
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => sql`SELECT pg_sleep(0.05)`.execute(db)))
  assert.equal(database.stats().open, 4)
})

// Kysely cancels a query over a connection beside the pool: by a client as the pool's, or by the one it is
// given, which it makes of the pool's options.
for (const controlClient of [undefined, pg.Client]) {
  for (const inflightQueryAbortStrategy of ['cancel query', 'kill session'] as const) {
    const name = controlClient === undefined ? 'the pool' : 'pg'
    test(`aborts queries by "${inflightQueryAbortStrategy}", over verified connections by the client of ${name}`, async () => {
      const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool, controlClient }) })
      const control = new AbortController()
      const options = { signal: control.signal, inflightQueryAbortStrategy }
      const queries = Array.from({ length: 4 }, () => sql`SELECT pg_sleep(20)`.execute(db, options))
      while ((await countSleeping()) < 4) await setImmediate()
      const before = database.decisions.length
      control.abort(new Error('too slow'))
      for (const query of queries) await assert.rejects(query, /too slow/)
      while ((await countSleeping()) > 0) await setImmediate()
      const verdicts = database.decisions.slice(before).map(({ verdict, tls }) => [verdict, tls?.version])
      assert.deepEqual(verdicts, Array(4).fill(['admitted', 'TLSv1.3']))
      await db.selectFrom('note').selectAll().execute()
    })
  }
}

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => db.selectFrom('note').selectAll().execute()))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  await db.selectFrom('note').selectAll().execute()
  const [first, last] = [database.decisions.at(0), database.decisions.at(-1)]
  assert.notEqual(last?.tokenId, first?.tokenId)
  assert.equal(database.stats().refused, 0)
})

test('closes its connections when it is destroyed', async () => {
  await db.destroy()
  while (database.stats().open > 0) await setImmediate()
  await assert.rejects(db.selectFrom('note').selectAll().execute(), /destroyed/)
})
