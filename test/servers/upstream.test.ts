// Servers as they stand behind a gateway elsewhere: they let nobody in without TLS and a password.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import middy, { type MiddlewareObj } from '@middy/core'
import type { Mysql, MysqlKind } from '../../kit/src/database/mysql.ts'
import { createPostgresDatabase } from '../../kit/src/database/postgres-database.ts'
import { type GatewayUpstream, makeAuthority } from '../../kit/src/index.ts'
import { iamMysql, iamMysqlPool } from '../../src/mysql2.ts'
import { iamPg, iamPgPool, RdsIamError } from '../../src/pg.ts'
import { credentials, findMysqlKinds } from '../support/database.ts'
import { startGateway } from '../support/gateway.ts'
import { lambdaContext } from '../support/lambda.ts'
import { holdTests } from '../support/registration.ts'
import { speaksTls, startTlsMysql } from '../support/tls-mysql.ts'
import { startTlsPostgres } from '../support/tls-postgres.ts'

const allRegistered = holdTests()

const region = 'eu-west-1'
const password = "pá§s wörd'"

type Ask = (db: { query(sql: string): Promise<never> }) => Promise<unknown>

/** Who is logged in, and whether the server itself sees TLS. */
const engines = {
  postgres: {
    middlewares: [iamPg, iamPgPool],
    ask: async db => {
      const sql = 'SELECT current_user::text AS name, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'
      return ((await db.query(sql)) as { rows: unknown[] }).rows[0]
    },
  },
  mysql: {
    middlewares: [iamMysql, iamMysqlPool],
    ask: async db => {
      const [users] = (await db.query('SELECT CURRENT_USER() AS name')) as [{ name: string }[]]
      const [status] = (await db.query("SHOW SESSION STATUS LIKE 'Ssl_version'")) as [{ Value: string }[]]
      return { name: users[0]?.name.replace(/@%$/, ''), ssl: status[0]?.Value.startsWith('TLSv1.') }
    },
  },
} as const satisfies Readonly<Record<string, { middlewares: readonly unknown[]; ask: Ask }>>

/** Puts a gateway before a server, and connects with each middleware through it. */
async function connectEach(engine: 'postgres' | 'mysql', user: string, upstream: GatewayUpstream) {
  const gateway = await startGateway({ engine, region, upstream })
  try {
    const address = { host: 'localhost', port: gateway.port, user, database: 'notes', region, credentials }
    const options = { ...address, tls: { ca: gateway.ca }, retryRefused: false, connectTimeoutMs: 5000 }
    const answers: unknown[] = []
    for (const create of engines[engine].middlewares) {
      const middleware = (create as (given: typeof options) => MiddlewareObj & AsyncDisposable)(options)
      const handler = middy<Ask>()
        .use(middleware)
        .handler((ask, context) => ask((context as never as { db: never }).db))
      await using _ended = middleware
      answers.push(await handler(engines[engine].ask, lambdaContext() as never))
    }
    return answers
  } finally {
    await gateway.close()
  }
}

/** A server that is there, and what its users are made with. */
interface Guarded {
  readonly engine: 'postgres' | 'mysql'
  readonly name: string
  readonly port: number
  readonly ca: string
  /** One for each way in which the server asks for a password. */
  readonly users: readonly string[]
}

function testGuarded({ engine, port, ca, users }: Guarded): void {
  for (const user of users) {
    test(`lets ${user} in over TLS and with the password, through the gateway`, async () => {
      const seen = { name: user, ssl: true }
      // Twice: what the server keeps of a login makes the next one another one.
      for (const _ of [1, 2])
        assert.deepEqual(await connectEach(engine, user, { port, ca, password }), [seen, seen])
    })
  }

  const stranger = makeAuthority()
  for (const [what, upstream] of Object.entries<() => Promise<Partial<GatewayUpstream>>>({
    'with a wrong password': async () => ({ ca, password: 'wrong-secret' }),
    'without a password': async () => ({ ca, password: undefined }),
    'without TLS': async () => ({ ca: undefined }),
    'whose authority the gateway does not know': async () => ({ ca: (await stranger).ca }),
  })) {
    test(`lets nobody in ${what}`, async () => {
      for (const user of users) {
        const given = { port, ca, password, ...(await upstream()) }
        await assert.rejects(connectEach(engine, user, given), error => {
          assert.ok(error instanceof RdsIamError)
          assert.ok(!/wrong-secret|pá§s/.test(inspect(error, { depth: 9 })), 'a password can be seen')
          return true
        })
      }
    })
  }
}

const literal = `'${password.replaceAll("'", "''")}'`

async function openPostgres(): Promise<Guarded> {
  const methods = ['password', 'scram-sha-256', 'md5']
  const rules = methods.map(method => `hostssl all "${method} user" 127.0.0.1/32 ${method}`)
  const { server, ca } = await startTlsPostgres(rules.join('\n'))
  const users = methods.map(method => `${method} user`)
  await createPostgresDatabase(server, 'notes', users)
  for (const method of methods) {
    const encryption = method === 'md5' ? 'md5' : 'scram-sha-256'
    await server.query(
      `SET password_encryption = '${encryption}'; ALTER ROLE "${method} user" PASSWORD ${literal}`,
    )
  }
  return { engine: 'postgres', name: server.name, port: server.port, ca, users }
}

/** @returns Nothing where the server speaks no TLS of today. */
async function openMysql(kind: MysqlKind): Promise<Guarded | undefined> {
  const { server, ca } = await startTlsMysql(kind)
  if (!(await speaksTls(server))) return undefined
  await server.query('CREATE DATABASE notes')
  const users = await findPlugins(server)
  for (const plugin of users) {
    const identified = {
      mysql: `WITH ${plugin} BY ${literal}`,
      mariadb: `VIA ${plugin} USING PASSWORD(${literal})`,
    }
    await server.query(
      `CREATE USER ${plugin} IDENTIFIED ${identified[kind]} REQUIRE SSL; GRANT ALL ON notes.* TO ${plugin}`,
    )
  }
  return { engine: 'mysql', name: server.name, port: server.port, ca, users }
}

/** The plugins by which a server can ask for a password. */
async function findPlugins(server: Mysql): Promise<string[]> {
  // MySQL knows no such word, and not each MariaDB has both.
  for (const library of ['auth_ed25519', 'auth_parsec'])
    await server.query(`INSTALL SONAME '${library}'`).catch(() => {})
  const rows = await server.query(
    `SELECT plugin_name AS name FROM information_schema.plugins WHERE plugin_type = 'AUTHENTICATION' AND plugin_status = 'ACTIVE'
     AND plugin_name IN ('mysql_native_password', 'caching_sha2_password', 'sha256_password', 'ed25519', 'parsec')`,
  )
  return rows.map(({ name }) => String(name))
}

const postgres = await openPostgres()
describe(postgres.name, () => testGuarded(postgres))

const { kinds, missing } = findMysqlKinds()
test('MySQL and MariaDB', { skip: missing !== '' && missing }, () => {})
for (const kind of kinds) {
  const mysql = await openMysql(kind)
  if (mysql === undefined) test(kind, { skip: 'it speaks no TLS of today' }, () => {})
  else describe(mysql.name, () => testGuarded(mysql))
}

allRegistered()
