import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import middy from '@middy/core'
import { RdsIamError } from '../../../src/index.ts'
import { iamMysql } from '../../../src/mysql2.ts'
import { iamPg } from '../../../src/pg.ts'
import { findMysqlKinds } from '../../../test/support/database.ts'
import { mysqlDb, pgDb } from '../../../test/support/db.ts'
import { setEnvironment } from '../../../test/support/environment.ts'
import { startDatabase } from '../../../test/support/servers.ts'
import type { Database, DatabaseOptions } from '../../src/index.ts'

// Whatever is left behind is found there, and nothing of other tests.
const temporary = mkdtempSync(join(tmpdir(), 'rds-iam-kit-database-'))
chmodSync(temporary, 0o755)
process.env.TMPDIR = temporary
after(() => rmSync(temporary, { recursive: true, force: true }))

const isOpen = async (port: number): Promise<boolean> => {
  const socket = connect(port, '127.0.0.1')
  return once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy())
}

/** Runs SQL as a function does that has nothing but the database's environment. */
async function runAsFunction(
  t: { after(restore: () => void): void },
  database: Database,
  sql: string,
  overrides: Readonly<Record<string, string>> = {},
): Promise<readonly unknown[]> {
  setEnvironment(t, { ...database.environment, ...overrides })
  const options = { tls: { ca: process.env.DATABASE_CA }, retryRefused: false }
  const [middleware, wrap] =
    database.engine === 'postgres' ? [iamPg(options), pgDb] : [iamMysql(options), mysqlDb]
  const handler = middy()
    .use(middleware as unknown as middy.MiddlewareObj)
    .handler(async (_event, context) => {
      const db = wrap((context as unknown as { db: never }).db)
      try {
        return await db.query(sql)
      } finally {
        await db.end()
      }
    })
  return handler({}, {} as never) as Promise<readonly unknown[]>
}

const { kinds, missing } = findMysqlKinds()
const servers: readonly Pick<DatabaseOptions, 'engine' | 'kind'>[] = [
  { engine: 'postgres' },
  ...kinds.map(kind => ({ engine: 'mysql', kind }) as const),
]
test('has a server for MySQL', { skip: kinds.length === 0 && missing }, () => {})

for (const server of servers) {
  const name = server.kind ?? server.engine

  test(`a function reaches a database of ${name} by its environment, and nothing is left of it`, async t => {
    // Of the machine's own: they would be sent along, or taken in place of the key pair.
    setEnvironment(t, { AWS_SESSION_TOKEN: 'session', AWS_PROFILE: 'work' })
    const database = await startDatabase({
      ...server,
      users: ['orders_app', 'report'],
      setup: 'CREATE TABLE orders (id integer); INSERT INTO orders VALUES (7)',
    })
    t.after(() => database.close())
    assert.match(database.server, /^(PostgreSQL|MySQL|MariaDB) [.\d]+$/)
    assert.deepEqual(
      [database.user, database.database, database.host],
      ['orders_app', 'orders_app', 'localhost'],
    )
    assert.equal(readFileSync(database.caFile, 'utf8'), database.ca)
    assert.deepEqual(await runAsFunction(t, database, 'SELECT id FROM orders'), [{ id: 7 }])

    // Everything in the one database: what the superuser made, what it makes later, and what they make for each other.
    await database.query('CREATE TABLE later (id integer)')
    const [user] = database.engine === 'postgres' ? ['PGUSER'] : ['MYSQL_USER']
    await runAsFunction(t, database, 'INSERT INTO later VALUES (1)')
    await runAsFunction(t, database, 'CREATE TABLE own (id integer)')
    await runAsFunction(t, database, 'INSERT INTO own SELECT id FROM later', { [user ?? '']: 'report' })
    assert.deepEqual(await database.query('SELECT id FROM own'), [{ id: 1 }])

    await assert.rejects(runAsFunction(t, database, 'SELECT 1', { [user ?? '']: 'nobody' }), RdsIamError)
    assert.equal(database.decisions.at(-1)?.reason, 'NotIamUser')
    assert.equal(database.stats().admitted, 4)

    await Promise.all([database.close(), database.close()])
    await database[Symbol.asyncDispose]()
    for (const port of [database.port, database.upstream.port]) assert.equal(await isOpen(port), false)
    assert.equal(existsSync(database.caFile), false)
    assert.deepEqual(readdirSync(temporary), [])
  })

  test(`nothing is left of ${name} where its start fails half-way`, async () => {
    const other = await startDatabase({ ...server, users: ['app'] })
    try {
      const before = readdirSync(temporary)
      const broken = { ...server, users: ['app'], setup: 'CREATE TABEL orders (id integer)' }
      await assert.rejects(startDatabase(broken), /syntax/i)
      assert.deepEqual(readdirSync(temporary), before)
      const taken = { ...server, users: ['app'], port: other.port }
      await assert.rejects(startDatabase(taken), { code: 'RDS_IAM_OPTIONS', message: /EADDRINUSE/ })
      assert.deepEqual(readdirSync(temporary), before)
    } finally {
      await other.close()
    }
  })
}

test('a user whom the setup creates may do what it grants, and no more', async t => {
  await using database = await startDatabase({
    engine: 'postgres',
    users: ['strict', 'free'],
    database: 'orders',
    setup: `CREATE USER strict; GRANT rds_iam TO strict; CREATE SCHEMA shop;
      CREATE TABLE shop.orders (id integer); GRANT USAGE ON SCHEMA shop TO strict; GRANT SELECT ON shop.orders TO strict`,
  })
  assert.deepEqual(await runAsFunction(t, database, 'SELECT id FROM shop.orders'), [])
  await assert.rejects(runAsFunction(t, database, 'INSERT INTO shop.orders VALUES (1)'), { code: '42501' })
  await runAsFunction(t, database, 'INSERT INTO shop.orders VALUES (1)', { PGUSER: 'free' })
})

test('a user whom RDS would not ask IAM for is refused', async () => {
  const options = { engine: 'postgres', users: ['app'], setup: 'CREATE USER app' } as const
  await assert.rejects(startDatabase(options), /creates "app" without rds_iam/)
  assert.deepEqual(readdirSync(temporary), [])
})

test('the gateway decides by the policy, the limit and the clock that it is given', async t => {
  const start = (options: Partial<DatabaseOptions>) =>
    startDatabase({ engine: 'postgres', users: ['app'], ...options })
  const document = {
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' },
  }
  await using strict = await start({ policy: { document, resourceId: 'db-X' } })
  await using slow = await start({ limit: 1, now: () => 0 })
  await using late = await start({ now: () => Date.now() + 3_600_000 })
  for (const database of [strict, slow, slow, late])
    await assert.rejects(runAsFunction(t, database, 'SELECT 1'), RdsIamError)
  assert.equal(strict.decisions[0]?.reason, 'NotAuthorized')
  assert.equal(slow.decisions[1]?.reason, 'ThrottlingException')
  assert.equal(late.decisions[0]?.reason, 'ExpiredToken')
})

test('names every wrong option at once, before anything is started', async () => {
  const options = {
    engine: 'oracle',
    kind: 'postgres',
    users: ['app', 'app', 'postgres', 'pg_app', 5],
    database: 'template1',
    setup: { password: 'leaked-secret' },
    region: 'Ireland',
    policy: { document: {} },
    credentials: [],
    limit: 0,
    port: -1,
    upstream: {},
  }
  await assert.rejects(startDatabase(options as unknown as DatabaseOptions), error => {
    assert.ok(error instanceof RdsIamError)
    assert.deepEqual(error.message.split('\n'), [
      'startDatabase: 16 options are wrong:',
      '- `upstream` is not an option',
      "- `engine` is not 'postgres' or 'mysql'; got \"oracle\" (string)",
      '- `users[1]` is there twice; got "app" (string)',
      '- `users[2]` is the master user, whom IAM must neither decide about nor take away; take a user of its own; got "postgres" (string)',
      '- `users[3]` begins with "pg_", which PostgreSQL keeps for itself; take another name; got "pg_app" (string)',
      '- `users[4]` is not the name of a database user, a text that is not empty; got 5 (number)',
      '- `region` is not the name of a Region, such as eu-west-1; got "Ireland" (string)',
      '- `port` is not a whole number from 0 to 65535; got -1 (number)',
      '- `policy.resourceId` is missing; give the DbiResourceId of the database, such as db-ABCDEFGHIJKL01234',
      '- `policy.document.Statement` must be an object, got nothing',
      '- `limit` is not a whole number of at least 1; got 0 (number)',
      '- `credentials` is an empty list; leave it out',
      "- `kind` goes with the engine 'mysql'",
      "- `kind` is not 'mariadb' or 'mysql'; got \"postgres\" (string)",
      '- `database` is a database that the server has for itself; got "template1" (string)',
      '- `setup` is not a text of SQL; got a value of the type object',
    ])
    return true
  })
  for (const options of [undefined, null, 'x', [], {}, { engine: 'mysql', users: [] }, { users: 'app' }])
    await assert.rejects(startDatabase(options as unknown as DatabaseOptions), { code: 'RDS_IAM_OPTIONS' })
  assert.deepEqual(readdirSync(temporary), [])
})
