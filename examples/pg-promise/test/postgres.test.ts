import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { pgOptions } from 'middy-rds-iam/pg'
import { startDatabase } from 'rds-iam-kit'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })
const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
})
Object.assign(process.env, database.environment)
const { db, pgp } = await import('../src/postgres.ts')
after(() => database.close())

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

test('writes and reads in a transaction', async () => {
  await db.tx(async tx => {
    const row = await tx.one('INSERT INTO note (text) VALUES ($1) RETURNING *', ['milk'])
    assert.deepEqual(await tx.any('SELECT * FROM note WHERE id = $1', [row.id]), [row])
  })
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => db.any('SELECT pg_sleep(0.05)')))
  assert.equal(database.stats().open, 4)
  assert.deepEqual([database.stats().admitted, database.stats().refused], [4, 0])
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => db.any('SELECT * FROM note')))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  assert.equal((await db.any('SELECT * FROM note')).length, 1)
  assert.equal(new Set(database.decisions.map(({ tokenId }) => tokenId)).size, 2)
  assert.equal(database.stats().refused, 0)
})

test('gives no token to a server that is not verified', async () => {
  const { connections } = database.stats()
  // Would take any certificate: must be refused, and no token given.
  const careless = pgp({ ...(await pgOptions()), ssl: { rejectUnauthorized: false } })
  await assert.rejects(careless.any('SELECT 1'), { code: 'RDS_IAM_TRUST' })
  await careless.$pool.end()
  assert.equal(database.stats().connections, connections)
})

test('does not connect to a server that has no TLS', async () => {
  const { port } = database.upstream
  const other = pgp({ ...(await pgOptions()), port })
  await assert.rejects(other.any('SELECT 1'), /does not support SSL/)
  await other.$pool.end()
})

test('leaves no connection behind when it is closed', async () => {
  await db.$pool.end()
  while (database.stats().open > 0) await setImmediate()
})
