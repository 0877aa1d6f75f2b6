// What else MySQL and MariaDB have to do with tokens that they ask for by themselves: passwords of other users, and
// logins without TLS.
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Signer } from '@aws-sdk/rds-signer'
import middy, { type MiddlewareObj } from '@middy/core'
import mysql from 'mysql2/promise'
import type { MysqlKind } from '../../../kit/src/database/mysql-program.ts'
import { NotInstalled } from '../../../kit/src/database/not-installed.ts'
import { makeAuthority } from '../../../kit/src/index.ts'
import { iamMysql, iamMysqlPool } from '../../../src/mysql2.ts'
import { credentials, findMysqlKinds } from '../../support/database.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { startOwnMysql } from '../../support/own-login.ts'
import { holdTests } from '../../support/registration.ts'
import { startMysql } from '../../support/servers.ts'
import type { startTlsMysql } from '../../support/tls-mysql.ts'
import { mysqlOf } from './engines.ts'

const allRegistered = holdTests()

const region = 'eu-west-1'

/** A server whose plugin takes whatever it is sent: what is left is what the server and the client do. */
async function open(kind: MysqlKind, start?: typeof startTlsMysql) {
  const users: string[] = []
  const { server, ca } = await startOwnMysql(
    kind,
    user => {
      users.push(user)
      return true
    },
    start,
  )
  await mysqlOf(kind).createUsers(server)
  const sign = (username: string) =>
    new Signer({ hostname: 'localhost', port: server.port, username, region, credentials }).getAuthToken()
  const logIn = mysqlOf(kind).logIn
  /** One invocation of each middleware. */
  const invokeEach = async () => {
    for (const create of [iamMysql, iamMysqlPool]) {
      const address = { host: 'localhost', port: server.port, user: 'jane', database: 'notes', region }
      await using middleware = (create as (options: object) => MiddlewareObj & AsyncDisposable)({
        ...{ ...address, credentials, tls: { ca }, retryRefused: false },
      })
      const handler = middy()
        .use(middleware)
        .handler(async () => {})
      await handler(undefined, lambdaContext() as never)
    }
  }
  return { server, ca, users, sign, logIn, invokeEach }
}

async function withoutTls(kind: MysqlKind, settings: Readonly<Record<string, string>> = {}) {
  const server = await startMysql({ kind, settings })
  after(() => server.stop())
  return { server, ca: (await makeAuthority()).ca }
}

async function testKind(kind: MysqlKind): Promise<void> {
  const { server, ca, users, sign, logIn, invokeEach } = await open(kind)
  const { port } = server
  describe(server.name, () => {
    test('asks who has a password for that one as ever, twice, and takes no token of theirs', async () => {
      await server.query(`CREATE USER pat IDENTIFIED BY 'own-password'; GRANT ALL ON notes.* TO pat`)
      const before = users.length
      // The first login has the server keep what makes the next one shorter.
      for (const _ of [1, 2]) await logIn(port, { user: 'pat', token: 'own-password', ca })
      await assert.rejects(logIn(port, { user: 'pat', token: await sign('pat'), ca }), {
        code: 'ER_ACCESS_DENIED_ERROR',
      })
      assert.equal(users.length, before)
    })

    test('lets tokens in where it lets nobody in without TLS, and says so to others', async () => {
      await server.query(`CREATE USER sam IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'`)
      await server.query('GRANT ALL ON notes.* TO sam')
      const careless = { user: 'sam', token: await sign('sam') }
      await logIn(port, careless)
      const admin = await mysql.createConnection({ host: 'localhost', port, user: 'root', ssl: { ca } })
      await admin.query('SET GLOBAL require_secure_transport = ON')
      try {
        await invokeEach()
        // MariaDB says the latter before version 11.
        const words = /^(.*insecure transport are prohibited|Access denied for user 'sam'@)/
        await assert.rejects(logIn(port, careless), { message: words })
      } finally {
        await admin.query('SET GLOBAL require_secure_transport = OFF')
        await admin.end()
      }
    })
  })

  const plain = await open(kind, withoutTls)
  test(`${server.name} without TLS is sent no token, though it would take one`, async () => {
    await plain.server.query(`ALTER USER 'jane'@'%' REQUIRE NONE`)
    await plain.logIn(plain.server.port, { token: await plain.sign('jane') })
    assert.deepEqual(plain.users, ['jane'])
    await assert.rejects(plain.invokeEach(), { code: 'RDS_IAM_TRUST' })
    assert.deepEqual(plain.users, ['jane'])
  })
}

const { kinds, missing } = findMysqlKinds()
test('MySQL and MariaDB', { skip: missing !== '' && missing }, () => {})
for (const kind of kinds) {
  try {
    await testKind(kind)
  } catch (error) {
    if (!(error instanceof NotInstalled)) throw error
    test(`${kind} by itself`, { skip: error.message }, () => {})
  }
}

allRegistered()
