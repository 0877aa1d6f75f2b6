import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { startDatabase } from 'rds-iam-kit'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })
const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
})
Object.assign(process.env, database.environment)
const { pool, prisma } = await import('../src/postgres.ts')
after(() => database.close())

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

test('writes and reads in a transaction', async () => {
  await prisma.$transaction(async tx => {
    const row = await tx.note.create({ data: { text: 'milk' } })
    assert.deepEqual(await tx.note.findUnique({ where: { id: row.id } }), row)
  })
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => prisma.$executeRaw`SELECT pg_sleep(0.05)`))
  assert.equal(database.stats().open, 4)
  assert.deepEqual([database.stats().admitted, database.stats().refused], [4, 0])
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => prisma.note.findMany()))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  assert.equal((await prisma.note.findMany()).length, 1)
  assert.equal(new Set(database.decisions.map(({ tokenId }) => tokenId)).size, 2)
  assert.equal(database.stats().refused, 0)
})

test('leaves the pool open when Prisma disconnects, and no connection when the pool is closed', async () => {
  await prisma.$disconnect()
  await pool.query('SELECT 1')
  await pool.close()
  while (database.stats().open > 0) await setImmediate()
})
