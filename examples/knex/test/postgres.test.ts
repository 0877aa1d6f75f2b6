import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import knex from 'knex'
import { pgOptions } from 'middy-rds-iam/pg'
import { startDatabase } from 'rds-iam-kit'
import { Note } from '../src/note.ts'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })

const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
})
Object.assign(process.env, database.environment)
const { db: withPool, pool } = await import('../src/postgres.ts')
const { db: withOwnPool } = await import('../src/postgres-own-pool.ts')
const withObject = knex({ client: 'pg', connection: await pgOptions(), pool: { min: 0, max: 4 } })
after(async () => {
  await pool.close()
  await Promise.all([withOwnPool, withObject].map(db => db.destroy()))
  await database.close()
})

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

const ways = {
  'a pool of this package': { db: withPool, end: () => pool.close() },
  'options from a function': { db: withOwnPool, end: () => withOwnPool.destroy() },
  'options as an object': { db: withObject, end: () => withObject.destroy() },
}

for (const [way, { db, end }] of Object.entries(ways)) {
  test(`${way}: writes and reads in a transaction`, async () => {
    await Note.transaction(db, async tx => {
      const { id } = await Note.query(tx).insert({ text: 'milk' })
      assert.deepEqual(await tx('note').where({ id }), [{ id, text: 'milk' }])
      assert.equal((await Note.query(tx).findById(id))?.text, 'milk')
      await Note.query(tx).deleteById(id)
    })
  })

  test(`${way}: leaves nothing of a transaction that fails`, async () => {
    const failing = Note.transaction(db, async tx => {
      await Note.query(tx).insert({ text: 'bread' })
      throw new Error('no bread')
    })
    await assert.rejects(failing, /no bread/)
    assert.equal(await Note.query(db).resultSize(), 0)
  })

  test(`${way}: opens as many connections as the pool may hold for queries side by side`, async () => {
    await Promise.all(Array.from({ length: 8 }, () => db.raw('SELECT pg_sleep(0.05)')))
    assert.equal(database.stats().open, 4)
  })

  test(`${way}: goes on after its connections were killed`, async () => {
    await killConnections()
    await Promise.all(Array.from({ length: 4 }, () => Note.query(db)))
  })

  test(`${way}: presents a new token when the last one has expired`, async () => {
    const before = database.decisions.at(-1)
    mock.timers.tick(16 * 60_000)
    await killConnections()
    await Note.query(db)
    assert.notEqual(database.decisions.at(-1)?.tokenId, before?.tokenId)
    assert.equal(database.stats().refused, 0)
  })

  if (db !== withPool) {
    test(`${way}: cancels a query that takes too long, over a connection with a token`, async () => {
      const { admitted } = database.stats()
      await assert.rejects(async () => db.raw('SELECT pg_sleep(20)').timeout(100, { cancel: true }), {
        name: 'KnexTimeoutError',
      })
      assert.equal(database.stats().admitted, admitted + 1)
      const running = await database.query(
        "SELECT query FROM pg_stat_activity WHERE state = 'active' AND usename = 'orders_app'",
      )
      assert.deepEqual(running, [])
    })
  }

  test(`${way}: closes its connections`, async () => {
    await end()
    while (database.stats().open > 0) await setImmediate()
    await assert.rejects(async () => db.raw('SELECT 1'))
  })
}
