import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { findMysqlKinds } from '../../../test/support/database.ts'
import { setEnvironment } from '../../../test/support/environment.ts'
import { startMysql } from '../../../test/support/servers.ts'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
import { isLoopback } from '../../src/gateway/loopback.ts'
import { makeAuthority } from '../../src/index.ts'
import { connectMysql, openMysqlGateway, queryRow, tryMysql, waitUntil } from './mysql-support.ts'
import { startRelay } from './relay.ts'
import { makeClient, openGateway, openPostgres, signToken, tryConnect } from './support.ts'

/** Where this machine is reached from others: what goes there is beyond loopback. */
const address = Object.values(networkInterfaces())
  .flat()
  .find(found => found?.family === 'IPv4' && !found.internal)?.address
const skip = address === undefined && 'this machine has no address beyond loopback'
const host = address ?? ''

const stranger = await makeAuthority('stranger')

it('knows what never leaves the machine', () => {
  for (const near of ['localhost', '127.0.0.1', '127.8.9.10', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])
    assert.equal(isLoopback(near), true, near)
  for (const far of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '::ffff:10.0.0.1',
    'localhost.example',
    '127.example',
    'db',
  ])
    assert.equal(isLoopback(far), false, far)
})

describe('a PostgreSQL that demands TLS', async () => {
  const rules = `hostssl all tls 127.0.0.1/32 trust
hostssl all with_scram 127.0.0.1/32 scram-sha-256
hostnossl all plain 127.0.0.1/32 trust`
  const { server, ca } = await startTlsPostgres(rules, {
    names: ['elsewhere', ...(address ? [address] : [])],
  })
  await server.query(`CREATE USER tls; CREATE USER plain; CREATE USER with_scram PASSWORD 'secret'`)
  await server.query('CREATE DATABASE orders')
  const connect = async (t: { after(end: () => unknown): void }, upstream: object, user = 'tls') => {
    const { gateway, decisions } = await openGateway(t, server, {
      upstream: { port: server.port, ...upstream },
    })
    const token = await signToken(gateway, { username: user })
    return { client: makeClient(gateway, token, { user }), decisions }
  }

  it('on loopback is spoken to in TLS where its authority is named, whatever its certificate is for', async t => {
    for (const user of ['tls', 'with_scram']) {
      const { client } = await connect(t, { ca, password: 'secret' }, user)
      await client.connect()
      const { rows } = await client.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
      assert.deepEqual(rows, [{ ssl: true, version: 'TLSv1.3' }])
      await client.end()
    }
  })

  it('on loopback is spoken to in plain text where none is named, and the client is told what is missing', async t => {
    const plain = await connect(t, {}, 'plain')
    assert.equal(await tryConnect(plain.client), undefined)
    const { client, decisions } = await connect(t, {})
    const error = await tryConnect(client)
    assert.equal(error?.code, '08004')
    assert.match(
      error?.message ?? '',
      /no pg_hba.conf entry .*no encryption \(28000\): where the server demands TLS, name its authority with --upstream-ca, or `upstream.ca`$/,
    )
    assert.equal(decisions[0]?.reason, 'InternalError')
  })

  it('is refused where its certificate comes from another authority, and is told nothing', async t => {
    setEnvironment(t, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })
    const relay = await startRelay(t, server)
    const { client, decisions } = await connect(t, { port: relay.port, ca: stranger.ca, password: 'secret' })
    const error = await tryConnect(client)
    assert.equal(error?.code, '08004')
    assert.match(error?.message ?? '', /does not trust the server behind it: .*name it with --upstream-ca/)
    assert.match(decisions[0]?.detail ?? '', /SELF_SIGNED_CERT_IN_CHAIN/)
    assert.ok(!relay.seen().includes('tls'))
  })

  it('beyond loopback must have a certificate for its host from a known authority', { skip }, async t => {
    const relay = await startRelay(t, server, host)
    const far = { host, port: relay.port }
    const right = await connect(t, { ...far, ca })
    assert.equal(await tryConnect(right.client), undefined)
    assert.equal((await tryConnect((await connect(t, far)).client))?.code, '08004')
    const { server: other, ca: otherCa } = await startTlsPostgres(rules, { names: ['elsewhere'] })
    await other.query('CREATE USER tls')
    const wrong = await startRelay(t, other, host)
    const { client, decisions } = await connect(t, { host, port: wrong.port, ca: otherCa })
    assert.match((await tryConnect(client))?.message ?? '', /its certificate is for another host than /)
    assert.match(decisions[0]?.detail ?? '', /ERR_TLS_CERT_ALTNAME_INVALID/)
  })

  it('passes a cancel request on over TLS', { skip }, async t => {
    const relay = await startRelay(t, server, host)
    const { client } = await connect(t, { host, port: relay.port, ca })
    await client.connect()
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
    const rejected = assert.rejects(client.query('SELECT pg_sleep(60)'), { code: '57014' })
    const canceller = makeClient({ port: client.port } as never, 'unused', { ssl: false })
    const { connection } = canceller as unknown as {
      connection: {
        connect(port: number, host: string): void
        cancel(id: number, key: number): void
        once: typeof canceller.once
      }
    }
    connection.once('connect', () => connection.cancel(processID, secretKey))
    connection.connect(client.port, '127.0.0.1')
    await rejected
    await client.end()
    assert.ok(!relay.seen().includes(Buffer.from([4, 210, 22, 46])), 'the code of a cancel request')
  })
})

describe('a PostgreSQL without TLS', async () => {
  const server = await openPostgres({ after })

  it('beyond loopback gets nothing but the question whether it speaks TLS', { skip }, async t => {
    const relay = await startRelay(t, server, host)
    const { gateway, decisions } = await openGateway(t, server, {
      upstream: { host, port: relay.port, password: 'secret' },
    })
    const error = await tryConnect(makeClient(gateway))
    assert.equal(error?.code, '08004')
    assert.match(error?.message ?? '', /does not speak TLS, which the gateway needs for /)
    assert.equal(decisions[0]?.reason, 'InternalError')
    assert.equal(relay.seen().length, 8)
  })
})

describe('a server that agrees to TLS and', () => {
  for (const [what, answer, reason] of [
    ['says nothing more', 'S', /the upstream did not answer within the handshake timeout/],
    [
      'says more in plain text, which must not be taken for what comes over TLS',
      'SR',
      /does not speak as PostgreSQL does/,
    ],
  ] as const) {
    it(what, async t => {
      const server = createServer(socket => {
        socket.on('error', () => {})
        t.after(() => socket.destroy())
        socket.once('data', () => socket.write(answer))
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.after(() => server.close())
      const { port } = server.address() as { port: number }
      const upstream = { port, ca: stranger.ca }
      const { gateway, decisions } = await openGateway(t, { port }, { upstream, handshakeTimeoutMs: 2000 })
      assert.equal((await tryConnect(makeClient(gateway)))?.code, '57P03')
      assert.match(decisions[0]?.detail ?? '', reason)
      await waitUntil(async () => gateway.stats().open === 0)
    })
  }
})

const { kinds, missing } = findMysqlKinds()
// The MySQL 5.6 that npm has speaks TLS 1.0.
const noMariadb = !kinds.includes('mariadb') && (missing || 'there is no MariaDB')

describe('a MariaDB that demands TLS', { skip: noMariadb }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rds-iam-upstream-tls-'))
  after(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  const authority = await makeAuthority('upstream')
  const { cert, key } = await authority.issue({ names: ['elsewhere', ...(address ? [address] : [])] })
  const write = (name: string, text: string) => {
    // The server reads it as another user.
    writeFileSync(join(folder, name), text, { mode: 0o644 })
    return join(folder, name)
  }
  const server = await startMysql({
    kind: 'mariadb',
    settings: { ssl: 1, 'ssl-cert': write('cert.pem', cert), 'ssl-key': write('key.pem', key) },
  })
  after(() => server.stop())
  await server.query(`CREATE DATABASE orders; CREATE USER 'app'@'%'; GRANT ALL ON *.* TO 'app'@'%';
    CREATE USER 'with'@'%' IDENTIFIED BY 'secret' REQUIRE SSL; GRANT ALL ON *.* TO 'with'@'%'`)
  const cipher = `SELECT variable_value <> '' AS encrypted FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'`
  const password = (user: string) => (user === 'with' ? 'secret' : undefined)

  it('on loopback is spoken to in TLS where its authority is named, for another user too', async t => {
    const upstream = { port: server.port, ca: authority.ca, password }
    const { gateway } = await openMysqlGateway(t, server, { upstream })
    let user = 'with'
    const token = () => signToken(gateway, { username: user })
    const connection = await connectMysql(gateway, { user }, token)
    for (user of ['app', 'with']) {
      await connection.changeUser({ user, database: 'orders' })
      assert.deepEqual(await queryRow(connection, cipher), { encrypted: 1 })
    }
    await connection.end()
  })

  it('on loopback is spoken to in plain text where none is named, and the client is told what is missing', async t => {
    const { gateway } = await openMysqlGateway(t, server, { upstream: { port: server.port, password } })
    const connection = await connectMysql(gateway)
    assert.deepEqual(await queryRow(connection, cipher), { encrypted: 0 })
    await connection.end()
    const error = await tryMysql(gateway, { user: 'with' })
    assert.equal(error?.code, 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE')
    assert.match(error?.message ?? '', /where the server demands TLS, name its authority with --upstream-ca/)
  })

  it('is refused where its certificate comes from another authority, and is told nothing', async t => {
    setEnvironment(t, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })
    const relay = await startRelay(t, server)
    const upstream = { port: relay.port, ca: stranger.ca, password }
    const { gateway, decisions } = await openMysqlGateway(t, server, { upstream })
    const error = await tryMysql(gateway, { user: 'with' })
    assert.match(error?.message ?? '', /does not trust the server behind it: .*name it with --upstream-ca/)
    assert.match(decisions[0]?.detail ?? '', /SELF_SIGNED_CERT_IN_CHAIN/)
    assert.ok(!relay.seen().includes('with'))
  })

  it('beyond loopback must have a certificate for its host from a known authority', { skip }, async t => {
    const relay = await startRelay(t, server, host)
    for (const [ca, message] of [
      [authority.ca, undefined],
      [undefined, /does not come from an authority that the gateway knows/],
    ] as const) {
      const upstream = { host, port: relay.port, ca, password }
      const { gateway } = await openMysqlGateway(t, server, { upstream })
      const error = await tryMysql(gateway, { user: 'with' })
      if (message === undefined) assert.equal(error, undefined)
      else assert.match(error?.message ?? '', message)
    }
  })
})

describe('a MySQL or MariaDB without TLS', { skip: kinds.length === 0 && missing }, async () => {
  const server = await startMysql()
  after(() => server.stop())

  it('beyond loopback gets not a byte', { skip }, async t => {
    const relay = await startRelay(t, server, host)
    const { gateway } = await openMysqlGateway(t, server, { upstream: { host, port: relay.port } })
    const error = await tryMysql(gateway)
    assert.match(error?.message ?? '', /does not speak TLS, which the gateway needs for /)
    assert.equal(relay.seen().length, 0)
  })
})
