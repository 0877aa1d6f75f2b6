import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { sql } from 'kysely'
import { type Database, NotInstalled, startDatabase } from 'rds-iam-kit'

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

if (started instanceof NotInstalled) test('Kysely with MySQL', { skip: started.message })
else await testWith(started)

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

  async function countSleeping(): Promise<number> {
    const sessions = await database.query(
      "SELECT id FROM information_schema.processlist WHERE state = 'User sleep'",
    )
    return sessions.length
  }

  test('writes and reads in a transaction', async () => {
    await db.transaction().execute(async tx => {
      const { insertId } = await tx.insertInto('note').values({ text: 'milk' }).executeTakeFirstOrThrow()
      const id = Number(insertId)
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
    await Promise.all(Array.from({ length: 8 }, () => sql`SELECT sleep(0.05)`.execute(db)))
    assert.equal(database.stats().open, 4)
  })

  // MariaDB takes two seconds now and then to kill what sleeps side by side.
  for (const inflightQueryAbortStrategy of ['cancel query', 'kill session'] as const) {
    test(`aborts queries by "${inflightQueryAbortStrategy}", over verified connections beside the pool`, async () => {
      const control = new AbortController()
      const options = { signal: control.signal, inflightQueryAbortStrategy }
      const queries = Array.from({ length: 4 }, () => sql`SELECT sleep(20)`.execute(db, options))
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
}
