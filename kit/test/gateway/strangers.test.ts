import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { createMysqlPool } from 'middy-rds-iam/mysql2'
import { createPgPool } from 'middy-rds-iam/pg'
import type mysql from 'mysql2/promise'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
import {
  connectMysql,
  describeMysql,
  packets as mysqlPackets,
  openMysqlGateway,
  openMysqlTls,
  parseError,
  tryMysql,
} from './mysql-support.ts'
import {
  makeClient,
  message,
  openGateway,
  openNegotiatedTls,
  packets,
  region,
  type Scope,
  signToken,
  standIn,
  tryConnect,
} from './support.ts'

// Who is not there is asked for a password, by SCRAM, as whoever is there: what the gateway is held against.
const { server, ca } = await startTlsPostgres(
  'hostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all app 127.0.0.1/32 trust',
)
await server.query('CREATE USER app')
await server.query('CREATE DATABASE orders')
const { gateway, decisions } = await openGateway({ after }, server, { users: ['app'] })

const user = 'stranger'
const asked = packets.startup({ user, database: 'orders' })
const initial = (text: string, mechanism = 'SCRAM-SHA-256') => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(Buffer.byteLength(text))
  return message('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, Buffer.from(text)]))
}

async function converse(t: Scope, address: { port: number; ca: string }, bytes: Buffer[]): Promise<string> {
  const wire = await openNegotiatedTls(t, address)
  wire.socket.end(Buffer.concat([asked, ...bytes]))
  return (await wire.rest())
    .toString('latin1')
    .replace(/(D[^\0]*\0)?F[\w-]+\.c\0L\d+\0R\w+\0/, '')
    .replace(/E.{4}(?=SFATAL)/s, 'E')
    .replace(/(r=(?:abc)?).{24},s=.{22}==,/, '$1…,s=…,')
}

await describeMysql({ after }, server => {
  const denied = (user: string, using: 'YES' | 'NO') =>
    `Access denied for user '${user}'@'127.0.0.1' (using password: ${using})`
  const open = (t: Scope) => openMysqlGateway(t, server, { users: ['app'] })

  it('a user who is none for IAM is not asked for a token', async t => {
    const { gateway, decisions } = await open(t)
    let asked = false
    const error = await tryMysql(gateway, { user }, () => {
      asked = true
      return signToken(gateway, { username: user })
    })
    assert.deepEqual([asked, error?.errno, error?.message], [false, 1045, denied(user, 'NO')])
    assert.deepEqual([decisions[0]?.reason, decisions[0]?.tokenId], ['NotIamUser', undefined])
    assert.equal(gateway.stats().connections, 0)
    assert.equal(await tryMysql(gateway), undefined)
  })

  it('and gives nothing away where the token is the password', async t => {
    const { gateway } = await open(t)
    const password = await signToken(gateway, { username: user })
    const error = await tryMysql(gateway, { user, password, authPlugins: {} } as mysql.ConnectionOptions)
    assert.equal(error?.message, denied(user, 'YES'))
  })

  it('and is told to hash a password, whatever the client would rather do', async t => {
    const { gateway } = await open(t)
    for (const [plugin, using] of [
      ['mysql_clear_password', 'YES'],
      ['sha256_password', 'YES'],
      ['AWSAuthenticationPlugin', 'NO'],
      ['', 'NO'],
    ] as const) {
      const wire = await openMysqlTls(t, gateway)
      wire.socket.write(mysqlPackets.response({ user, plugin }))
      const { body } = await wire.takePacket()
      assert.match(body.toString('latin1'), /^\xfemysql_native_password\0[@-\x7f]{20}\0$/, plugin)
      const hash = using === 'YES' ? Buffer.alloc(20, 1) : Buffer.alloc(0)
      wire.socket.write(Buffer.concat([Buffer.of(hash.length, 0, 0, 4), hash]))
      assert.match(parseError((await wire.takePacket()).body).message, new RegExp(`password: ${using}`))
    }
  })

  it('and ends a session that changes to such a user', async t => {
    const { gateway, decisions } = await open(t)
    let asked = 0
    const connection = await connectMysql(gateway, {}, () => {
      asked += 1
      return signToken(gateway)
    })
    await assert.rejects(connection.changeUser({ user: 'root' }), { errno: 1045 })
    assert.deepEqual([asked, decisions[1]?.user, decisions[1]?.reason], [1, 'root', 'NotIamUser'])
  })

  it('and is told by middy-rds-iam what to run', async t => {
    const { gateway } = await open(t)
    const options = { host: 'localhost', port: gateway.port, user, database: 'orders', region }
    const pool = createMysqlPool({ ...options, tls: { ca: gateway.ca }, credentials: standIn })
    t.after(() => pool.end())
    await assert.rejects(pool.query('SELECT 1'), {
      code: 'RDS_IAM_NOT_GRANTED',
      message: /using password: NO.*`CREATE USER 'stranger'@'%' IDENTIFIED WITH AWSAuthenticationPlugin/,
    })
  })
})

describe('a user who is none for IAM is asked by SCRAM, as the server asks', () => {
  const answers: Record<string, Buffer[]> = {
    'and says nothing': [],
    'and begins': [initial('n,,n=,r=abc')],
    'and begins with channel binding': [initial('p=tls-server-end-point,,n=,r=abc', 'SCRAM-SHA-256-PLUS')],
    'and sends a query': [packets.query('select 1')],
    'and sends a password': [packets.password('secret')],
    'and chooses another mechanism': [initial('', 'PLAIN')],
    'and begins with nonsense': [initial('x,,y')],
    'and begins without a nonce': [initial('n,,n=,')],
    'and begins with an empty nonce': [initial('n,,n=,r=')],
    'and goes on with a query': [initial('n,,n=,r=abc'), packets.query('select 1')],
  }
  for (const [what, bytes] of Object.entries(answers)) {
    it(what, async t => {
      const own = await converse(t, { port: server.port, ca }, bytes)
      assert.equal(await converse(t, gateway, bytes), own)
      assert.match(own, /^R.{8}SCRAM-SHA-256-PLUS/s)
    })
  }

  it('and gets the same salt each time, as from a server that has one for the user', async t => {
    const salts = new Set<string | undefined>()
    for (const name of [user, user, 'other']) {
      const wire = await openNegotiatedTls(t, gateway)
      wire.socket.end(Buffer.concat([packets.startup({ user: name }), initial('n,,n=,r=abc')]))
      salts.add(/,s=([^,]+),/.exec((await wire.rest()).toString())?.[1])
    }
    assert.equal(salts.size, 2)
  })

  it('and is refused in the server’s words, whatever the token', async () => {
    const token = await signToken(gateway, { username: user })
    const before = gateway.stats()
    const error = await tryConnect(makeClient(gateway, token, { user }))
    const own = await tryConnect(makeClient({ ...gateway, port: server.port, ca }, token, { user }))
    assert.equal(error?.code, '28P01')
    assert.equal(error?.message, `password authentication failed for user "${user}"`)
    assert.deepEqual([error?.message, error?.code, error?.severity], [own?.message, own?.code, own?.severity])
    assert.equal(decisions.at(-1)?.reason, 'NotIamUser')
    assert.equal(decisions.at(-1)?.tokenId, undefined)
    const { connections, refused } = gateway.stats()
    assert.deepEqual([connections, refused], [before.connections, before.refused + 1])
  })

  it('and is told by middy-rds-iam what to run, the token unsent', async t => {
    const pool = createPgPool({
      host: 'localhost',
      port: gateway.port,
      user,
      database: 'orders',
      region,
      tls: { ca: gateway.ca },
      credentials: standIn,
    })
    t.after(() => pool.end())
    await assert.rejects(pool.query('SELECT 1'), {
      code: 'RDS_IAM_NOT_GRANTED',
      message: /asked for a password by SCRAM.*`CREATE USER "stranger"; GRANT rds_iam TO "stranger";`/,
    })
    assert.equal(decisions.at(-1)?.reason, 'NotIamUser')
  })
})

it('an IAM user is let in beside', async () => {
  assert.equal(await tryConnect(makeClient(gateway)), undefined)
})
