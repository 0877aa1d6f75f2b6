import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { MikroORM } from '@mikro-orm/postgresql'
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
const { orm } = await import('../src/postgres.ts')
after(() => database.close())

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

test('writes and reads in a transaction', async () => {
  await orm.em.transactional(async em => {
    const note = em.create(Note, { text: 'milk' })
    await em.flush()
    em.clear()
    assert.equal((await em.findOneOrFail(Note, { id: note.id })).text, 'milk')
  })
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => orm.em.execute('SELECT pg_sleep(0.05)')))
  assert.equal(database.stats().open, 4)
  assert.equal(database.stats().refused, 0)
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => orm.em.fork().find(Note, {})))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  assert.equal((await orm.em.fork().find(Note, {})).length, 1)
  assert.equal(new Set(database.decisions.map(({ tokenId }) => tokenId)).size, 2)
  assert.equal(database.stats().refused, 0)
})

test('gives no token where other TLS options take the place of the verified ones', async () => {
  const { connections } = database.stats()
  const other = new MikroORM({
    entities: [Note],
    // Would take any certificate: must be refused, and no token given.
    driverOptions: { ...(await pgOptions()), ssl: { rejectUnauthorized: false } },
    dbName: database.database,
  })
  await assert.rejects(other.em.execute('SELECT 1'), { code: 'RDS_IAM_TRUST' })
  await other.close()
  assert.equal(database.stats().connections, connections)
})

test('does not connect to a server that has no TLS', async () => {
  const { port } = database.upstream
  const driverOptions = { ...(await pgOptions()), port }
  const other = new MikroORM({ entities: [Note], driverOptions, dbName: database.database })
  await assert.rejects(other.em.execute('SELECT 1'), /does not support SSL/)
  await other.close()
})

test('leaves no connection behind when it is closed', async () => {
  await orm.close()
  while (database.stats().open > 0) await setImmediate()
})
