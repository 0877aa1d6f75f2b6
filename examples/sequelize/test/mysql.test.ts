import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { mysqlOptions } from 'middy-rds-iam/mysql2'
import { type Database, NotInstalled, startDatabase } from 'rds-iam-kit'
import { Sequelize } from 'sequelize'

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

if (started instanceof NotInstalled) test('Sequelize with MySQL', { skip: started.message })
else await testWith(started)

async function testWith(database: Database): Promise<void> {
  Object.assign(process.env, database.environment)
  const { Note, sequelize } = await import('../src/mysql.ts')
  after(() => database.close())

  async function killConnections(): Promise<void> {
    const sessions = await database.query(
      "SELECT id AS id FROM information_schema.processlist WHERE user = 'orders_app'",
    )
    for (const { id } of sessions) await database.query(`KILL ${id}`)
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
    await Promise.all(Array.from({ length: 8 }, () => sequelize.query('SELECT sleep(0.05)')))
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
  const fail = async (options: object) => {
    const dialectOptions = { ...(await mysqlOptions()), ...options }
    const other = new Sequelize({ dialect: 'mysql', dialectOptions, logging: false })
    const error = await other.authenticate().then(
      () => assert.fail('it connected'),
      error => error,
    )
    await other.close()
    return error.original
  }

  test('gives no token where the TLS options are left out', async () => {
    const { connections } = database.stats()
    assert.equal((await fail({ ssl: undefined })).code, 'ER_SECURE_TRANSPORT_REQUIRED')
    assert.equal(database.stats().connections, connections)
  })

  test('gives no token where other TLS options take the place of the verified ones', async () => {
    const { connections } = database.stats()
    // Would take any certificate: must be refused, and no token given.
    assert.equal((await fail({ ssl: { rejectUnauthorized: false } })).cause.code, 'RDS_IAM_TRUST')
    assert.equal(database.stats().connections, connections)
  })

  test('is refused where the authentication plugins are left out', async () => {
    const { admitted } = database.stats()
    await fail({ authPlugins: undefined })
    assert.equal(database.stats().admitted, admitted)
  })

  test('does not connect to a server that has no TLS', async () => {
    const { port } = database.upstream
    assert.equal((await fail(await mysqlOptions({ port }))).code, 'HANDSHAKE_NO_SSL_SUPPORT')
  })

  test('leaves no connection behind when it is closed', async () => {
    await sequelize.close()
    while (database.stats().open > 0) await setImmediate()
  })
}
