import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Database, NotInstalled, startDatabase } from 'rds-iam-kit'
import { Note } from '../src/note.ts'

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

if (started instanceof NotInstalled) test('TypeORM with MySQL', { skip: started.message })
else await testWith(started)

async function testWith(database: Database): Promise<void> {
  Object.assign(process.env, database.environment)
  const { dataSource } = await import('../src/mysql.ts')
  await dataSource.initialize()
  const notes = dataSource.getRepository(Note)
  after(async () => {
    if (dataSource.isInitialized) await dataSource.destroy()
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
    await dataSource.transaction(async manager => {
      const { id } = await manager.save(Note, { text: 'milk' })
      assert.deepEqual(await manager.findBy(Note, { id }), [{ id, text: 'milk' }])
    })
    assert.equal(await notes.count(), 1)
  })

  test('leaves nothing of a transaction that fails', async () => {
    const failing = dataSource.transaction(async manager => {
      await manager.save(Note, { text: 'bread' })
      throw new Error('no bread')
    })
    await assert.rejects(failing, /no bread/)
    assert.equal(await notes.count(), 1)
  })

  test('opens as many connections as the pool may hold for queries side by side', async () => {
    await Promise.all(Array.from({ length: 8 }, () => dataSource.query('SELECT sleep(0.05)')))
    assert.equal(database.stats().open, 4)
  })

  test('goes on after its connections were killed', async () => {
    await killConnections()
    await Promise.all(Array.from({ length: 4 }, () => notes.find()))
  })

  test('presents a new token when the first one has expired', async () => {
    mock.timers.tick(16 * 60_000)
    await killConnections()
    await notes.find()
    const [first, last] = [database.decisions.at(0), database.decisions.at(-1)]
    assert.notEqual(last?.tokenId, first?.tokenId)
    assert.equal(database.stats().refused, 0)
  })

  test('closes its connections when it is destroyed, and can be initialized again', async () => {
    await dataSource.destroy()
    while (database.stats().open > 0) await setImmediate()
    await assert.rejects(notes.find())
    await dataSource.initialize()
    assert.equal(await notes.count(), 1)
  })
}
