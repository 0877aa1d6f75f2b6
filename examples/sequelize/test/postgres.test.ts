import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { pgOptions } from 'middy-rds-iam/pg'
import { startDatabase } from 'rds-iam-kit'
import { type Options, Sequelize } from 'sequelize'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })
const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
})
Object.assign(process.env, database.environment)
const { Note, sequelize } = await import('../src/postgres.ts')
after(() => database.close())

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

test('writes and reads in a transaction', async () => {
  await sequelize.transaction(async transaction => {
    const row = await Note.create({ text: 'milk' }, { transaction })
    const found = await Note.findByPk(row.get('id') as number, { transaction })
    assert.deepEqual(found?.get(), row.get())
  })
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => sequelize.query('SELECT pg_sleep(0.05)')))
  assert.equal(database.stats().open, 4)
  assert.equal(database.stats().refused, 0)
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => Note.findAll()))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  assert.equal((await Note.findAll()).length, 1)
  assert.equal(new Set(database.decisions.map(({ tokenId }) => tokenId)).size, 2)
  assert.equal(database.stats().refused, 0)
})

/** Connects with other options than the example does. @returns What it failed with. */
async function fail(options: Options): Promise<NodeJS.ErrnoException> {
  const { host, port, user: username } = database
  const other = new Sequelize({
    ...{ dialect: 'postgres', host, port, username, database: database.database, logging: false },
    ...options,
  })
  const error = await other.authenticate().then(
    () => assert.fail('it connected'),
    error => error,
  )
  await other.close()
  return error.original
}

test('gives no token where `ssl` is not in `dialectOptions`', async () => {
  const { connections } = database.stats()
  const { ssl, ...options } = await pgOptions()
  const error = await fail({ ...options, password: options.password as never, ssl: ssl as never })
  assert.match(error.message, /no pg_hba\.conf entry/)
  assert.equal(database.decisions.at(-1)?.reason, 'NotEncrypted')
  assert.equal(database.stats().connections, connections)
})

test('gives no token where other TLS options take the place of the verified ones', async () => {
  const { connections } = database.stats()
  const { password } = await pgOptions()
  // Would take any certificate: must be refused, and no token given.
  const dialectOptions = { ssl: { rejectUnauthorized: false } }
  const error = await fail({ password: password as never, dialectOptions })
  assert.equal(error.code, 'RDS_IAM_TRUST')
  assert.equal(database.stats().connections, connections)
})

test('gives no token to whoever calls the password function in place of pg', async () => {
  const { password } = await pgOptions()
  await assert.rejects(password(), { code: 'RDS_IAM_TRUST' })
})

test('is refused where the password function is left out', async () => {
  const { ssl } = await pgOptions()
  await fail({ dialectOptions: { ssl } })
  assert.equal(database.decisions.at(-1)?.verdict, 'refused')
})

test('does not connect to a server that has no TLS, whatever PGSSLMODE says', async () => {
  process.env.PGSSLMODE = 'disable'
  const { password, ssl } = await pgOptions()
  const { port } = database.upstream
  const error = await fail({ port, password: password as never, dialectOptions: { ssl } })
  delete process.env.PGSSLMODE
  assert.match(error.message, /does not support SSL/)
})

test('leaves no connection behind when it is closed', async () => {
  await sequelize.close()
  while (database.stats().open > 0) await setImmediate()
})
