import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { createPgPool } from 'middy-rds-iam/pg'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
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
  const wire = await openNegotiatedTls(t, address as never)
  wire.socket.end(Buffer.concat([asked, ...bytes]))
  return (await wire.rest())
    .toString('latin1')
    .replace(/(D[^\0]*\0)?F[\w-]+\.c\0L\d+\0R\w+\0/, '')
    .replace(/E.{4}(?=SFATAL)/s, 'E')
    .replace(/(r=(?:abc)?).{24},s=.{22}==,/, '$1…,s=…,')
}

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
