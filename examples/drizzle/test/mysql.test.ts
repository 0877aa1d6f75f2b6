import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import { RdsIamError } from 'middy-rds-iam'
import { type Database, NotInstalled, startDatabase } from 'rds-iam-kit'
import { mysqlNote as note } from '../src/schema.ts'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })

const started = await startDatabase({
  engine: 'mysql',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id int AUTO_INCREMENT PRIMARY KEY, text text NOT NULL)',
}).catch(error => {
  if (error instanceof NotInstalled) return error
  throw error
})

if (started instanceof NotInstalled) test('Drizzle with MySQL', { skip: started.message })
else await testWith(started)

/** Drizzle's own error says which query failed, and has the other one as its cause. */
const isClosed = ({ cause }: Error) => cause instanceof RdsIamError && cause.code === 'RDS_IAM_CLOSED'

async function testWith(database: Database): Promise<void> {
  Object.assign(process.env, database.environment)
  const { db, pool } = await import('../src/mysql.ts')
  after(async () => {
    await pool.close()
    await database.close()
  })

  async function killConnections(): Promise<void> {
    const sessions = await database.query(
      "SELECT id AS id FROM information_schema.processlist WHERE user = 'orders_app'",
    )
    for (const { id } of sessions) await database.query(`KILL ${id}`)
    while (database.stats().open > 0) await setImmediate()
  }

  test('writes and reads in a transaction', async () => {
    await db.transaction(async tx => {
      const [row] = await tx.insert(note).values({ text: 'milk' }).$returningId()
      const rows = await tx
        .select()
        .from(note)
        .where(eq(note.id, row?.id ?? 0))
      assert.deepEqual(rows, [{ id: row?.id, text: 'milk' }])
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
    await Promise.all(Array.from({ length: 8 }, () => db.execute(sql`SELECT sleep(0.05)`)))
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
}
