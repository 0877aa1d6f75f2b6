import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createTokenSource, trustedTls } from 'middy-rds-iam'
import { pgOptions } from 'middy-rds-iam/pg'
import { startDatabase } from 'rds-iam-kit'
import { createPool, sql, stringifyDsn } from 'slonik'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })
const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
})
Object.assign(process.env, database.environment)
const { pool } = await import('../src/postgres.ts')
after(() => database.close())

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

test('writes and reads in a transaction', async () => {
  await pool.transaction(async tx => {
    const row = await tx.one(sql.unsafe`INSERT INTO note (text) VALUES (${'milk'}) RETURNING *`)
    assert.deepEqual(await tx.any(sql.unsafe`SELECT * FROM note`), [row])
  })
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => pool.any(sql.unsafe`SELECT pg_sleep(0.05)`)))
  assert.equal(database.stats().open, 4)
  assert.equal(database.stats().refused, 0)
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => pool.any(sql.unsafe`SELECT * FROM note`)))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  assert.equal((await pool.any(sql.unsafe`SELECT * FROM note`)).length, 1)
  assert.equal(new Set(database.decisions.map(({ tokenId }) => tokenId)).size, 2)
  assert.equal(database.stats().refused, 0)
})

/** Connects as the example does, but for what is given. @returns What it failed with. */
async function fail(options: Parameters<typeof createPool>[1], dsn: object = {}, search = '') {
  const { host, port, user: username, database: databaseName } = database
  const { connections } = database.stats()
  const uri = stringifyDsn({ host, port, username, databaseName, ...dsn }) + search
  const connect = async () => {
    const other = await createPool(uri, {
      ...{ password: createTokenSource({ host, port, user: username }), connectionRetryLimit: 0 },
      ...options,
    })
    await other.any(sql.unsafe`SELECT 1`).finally(() => other.end())
  }
  const error = await connect().then(
    () => assert.fail('it connected'),
    error => error,
  )
  assert.equal(database.stats().connections, connections)
  return error
}

test('sends no token where an unknown authority issued the certificate, whatever the address says', async () => {
  process.env.PGSSLROOTCERT = ''
  const ssl = await trustedTls({ host: database.host })
  process.env.PGSSLROOTCERT = database.caFile
  for (const search of ['', '?sslmode=no-verify', '?sslmode=disable'])
    assert.equal((await fail({ ssl }, {}, search)).code, 'SELF_SIGNED_CERT_IN_CHAIN')
})

test('sends no token where the certificate has another name', async () => {
  const ssl = await trustedTls({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com' })
  assert.equal((await fail({ ssl })).code, 'ERR_TLS_CERT_ALTNAME_INVALID')
})

test('sends no token where the server has no TLS', async () => {
  const ssl = await trustedTls({ host: database.host })
  assert.match((await fail({ ssl }, database.upstream)).message, /does not support SSL/)
})

test('cannot use the password function of `pgOptions`, because Slonik calls it in place of pg', async () => {
  const { host, port, user: username, database: databaseName, password, ssl } = await pgOptions()
  const uri = stringifyDsn({ host, port, username, databaseName })
  const other = await createPool(uri, { password, ssl, connectionRetryLimit: 0 })
  await assert.rejects(other.any(sql.unsafe`SELECT 1`), ({ cause }) => cause.code === 'RDS_IAM_TRUST')
  await other.end()
})

test('leaves no connection behind when it is closed', async () => {
  await pool.end()
  while (database.stats().open > 0) await setImmediate()
})
