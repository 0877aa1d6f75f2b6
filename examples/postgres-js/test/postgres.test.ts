import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createTokenSource, trustedTls } from 'middy-rds-iam'
import postgres from 'postgres'
import { startDatabase } from 'rds-iam-kit'

// Tokens are signed and judged by the clock of this process. It stands still, until a test moves it.
mock.timers.enable({ apis: ['Date'], now: Date.now() })
const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
})
Object.assign(process.env, database.environment)
const { sql } = await import('../src/postgres.ts')
after(() => database.close())

async function killConnections(): Promise<void> {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
}

test('writes and reads in a transaction', async () => {
  await sql.begin(async tx => {
    const [row] = await tx`INSERT INTO note (text) VALUES (${'milk'}) RETURNING *`
    assert.deepEqual([...(await tx`SELECT * FROM note WHERE id = ${row?.id}`)], [row])
  })
})

test('opens as many connections as the pool may hold for queries side by side', async () => {
  await Promise.all(Array.from({ length: 8 }, () => sql`SELECT pg_sleep(0.05)`))
  assert.equal(database.stats().open, 4)
  assert.deepEqual([database.stats().admitted, database.stats().refused], [4, 0])
})

test('goes on after its connections were killed', async () => {
  await killConnections()
  await Promise.all(Array.from({ length: 4 }, () => sql`SELECT * FROM note`))
})

test('presents a new token when the first one has expired', async () => {
  mock.timers.tick(16 * 60_000)
  await killConnections()
  assert.equal((await sql`SELECT * FROM note`).length, 1)
  assert.equal(new Set(database.decisions.map(({ tokenId }) => tokenId)).size, 2)
  assert.equal(database.stats().refused, 0)
})

/** Connects as the example does, but for what is given, and shows whether a token was asked for. */
async function connect(options: { host?: string; port?: number; ssl: object }) {
  let isAsked = false
  const { host, port, user } = database
  const token = createTokenSource({ host, port, user })
  const other = postgres({
    ...{ host, port, user, database: database.database, ...options },
    password: () => {
      isAsked = true
      return token()
    },
  })
  const error = await other`SELECT 1`.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error,
  )
  await other.end()
  return { code: error?.code, isAsked }
}

test('asks for a token where the server is verified', async () => {
  const ssl = await trustedTls({ host: database.host })
  assert.deepEqual(await connect({ ssl }), { code: undefined, isAsked: true })
})

test('asks for no token where an unknown authority issued the certificate', async () => {
  process.env.PGSSLROOTCERT = ''
  const ssl = await trustedTls({ host: database.host })
  process.env.PGSSLROOTCERT = database.caFile
  assert.deepEqual(await connect({ ssl }), { code: 'SELF_SIGNED_CERT_IN_CHAIN', isAsked: false })
})

test('asks for no token where the certificate has another name', async () => {
  const ssl = await trustedTls({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com' })
  assert.deepEqual(await connect({ ssl }), { code: 'ERR_TLS_CERT_ALTNAME_INVALID', isAsked: false })
})

test('asks for no token where the environment says that no certificate matters', async () => {
  process.env.PGSSLROOTCERT = ''
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  const ssl = await trustedTls({ host: database.host })
  const { code, isAsked } = await connect({ ssl })
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
  process.env.PGSSLROOTCERT = database.caFile
  assert.deepEqual({ code, isAsked }, { code: 'SELF_SIGNED_CERT_IN_CHAIN', isAsked: false })
})

test('asks for no token where the server has no TLS', async () => {
  const { code, isAsked } = await connect({
    ...database.upstream,
    ssl: await trustedTls({ host: database.host }),
  })
  assert.notEqual(code, undefined)
  assert.equal(isAsked, false)
})

test('leaves no connection behind when it is closed', async () => {
  await sql.end()
  while (database.stats().open > 0) await setImmediate()
})
