import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import { RdsIamError } from 'middy-rds-iam'
import { startDatabase } from 'rds-iam-kit'
import { pgNote as note } from '../src/schema.ts'

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

/** Drizzle's own error says which query failed, and has the other one as its cause. */
const isClosed = ({ cause }: Error) => cause instanceof RdsIamError && cause.code === 'RDS_IAM_CLOSED'

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

test('writes and reads in a transaction', async () => {
  await db.transaction(async tx => {
    const [row] = await tx.insert(note).values({ text: 'milk' }).returning()
    const rows = await tx
      .select()
      .from(note)
      .where(eq(note.id, row?.id ?? 0))
    assert.deepEqual(rows, [row])
  })
  assert.equal(await db.$count(note), 1)
})

test('leaves nothing of a transaction that fails', async () => {
  const failing = db.transaction(async tx => {
    await tx.insert(note).values({ text: 'bread' })
    throw new Error('no bread')
  })
  await assert.rejects(failing, /no bread/)
  assert.equal(await db.$count(note), 1)
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => db.execute(sql`SELECT pg_sleep(0.05)`)))
  assert.equal(database.stats().open, 4)
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => db.select().from(note)))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  await db.select().from(note)
  const [first, last] = [database.decisions.at(0), database.decisions.at(-1)]
  assert.notEqual(last?.tokenId, first?.tokenId)
  assert.equal(database.stats().refused, 0)
})

test('closes its connections, and opens none afterwards', async () => {
  await pool.close()
  while (database.stats().open > 0) await setImmediate()
  await assert.rejects(async () => db.select().from(note), isClosed)
})
