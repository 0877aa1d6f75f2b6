import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, describe, it } from 'node:test'
import * as tls from 'node:tls'
import type pg from 'pg'
import { speaksDirectTls } from '../../../test/support/capabilities.ts'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
import {
  makeClient,
  message,
  openGateway,
  openNegotiatedTls,
  openPostgres,
  openTls,
  openWire,
  packets,
  signToken,
  tryConnect,
  type Wire,
} from './support.ts'

const postgres = await openPostgres({ after })
const { gateway, decisions } = await openGateway({ after }, postgres)

// The gateway begins as the server behind it does; what it says to others is in first-bytes.test.ts.
const withTls = await startTlsPostgres('hostssl all all 127.0.0.1/32 trust')
const isDirect = await speaksDirectTls({ port: withTls.server.port, ca: withTls.ca })
const direct = { skip: !isDirect && 'this server takes no direct TLS, and so the gateway takes none' }

/** Reads messages until one has the given type. */
async function takeUntil(wire: Wire, type: string) {
  for (;;) {
    const head = await wire.take(5)
    const body = await wire.take(head.readInt32BE(1) - 4)
    if (head.toString('latin1', 0, 1) === type) return body
  }
}

/** Sees a whole session through: ready, a query answered, and the end. */
async function assertSession(wire: Wire): Promise<void> {
  assert.equal((await takeUntil(wire, 'R')).readInt32BE(), 3, 'a cleartext password is asked for')
  assert.equal((await takeUntil(wire, 'R')).readInt32BE(), 0, 'the token is accepted')
  await takeUntil(wire, 'Z')
  wire.socket.write(packets.query("select 'passed on'"))
  assert.match((await takeUntil(wire, 'D')).toString(), /passed on/)
  await takeUntil(wire, 'Z')
  wire.socket.write(packets.terminate)
  await wire.rest()
}

describe('encryption', () => {
  it('refuses a client that does not ask for TLS, in PostgreSQL’s words', async () => {
    const error = await tryConnect(makeClient(gateway, undefined, { ssl: false }))
    assert.equal(error?.code, '28000')
    assert.equal(
      error?.message,
      'no pg_hba.conf entry for host "127.0.0.1", user "app", database "orders", no encryption',
    )
    assert.equal(decisions.at(-1)?.reason, 'NotEncrypted')
    assert.equal(decisions.at(-1)?.tls, undefined)
  })

  it('takes direct TLS', direct, async () => {
    const client = makeClient(gateway, undefined, { sslnegotiation: 'direct' } as pg.ClientConfig)
    await client.connect()
    assert.deepEqual((await client.query('select current_user as user')).rows, [{ user: 'app' }])
    await client.end()
  })

  it('refuses direct TLS without ALPN, and with another protocol', direct, async t => {
    const without = await openTls(t, { port: gateway.port, ca: gateway.ca })
    without.socket.write(packets.startup())
    assert.equal((await without.rest()).length, 0)
    await assert.rejects(
      openTls(t, { port: gateway.port, ca: gateway.ca, ALPNProtocols: ['h2'] }),
      /no application protocol/i,
    )
  })

  it('refuses TLS 1.1, and takes 1.2', direct, async t => {
    const connect = (version: 'TLSv1.1' | 'TLSv1.2') =>
      openTls(t, {
        port: gateway.port,
        ca: gateway.ca,
        ALPNProtocols: ['postgresql'],
        minVersion: version,
        maxVersion: version,
        ciphers: 'DEFAULT@SECLEVEL=0',
      })
    await assert.rejects(connect('TLSv1.1'))
    assert.equal((await connect('TLSv1.2')).socket.getProtocol(), 'TLSv1.2')
  })

  it('takes a TLS session up again', direct, async t => {
    const options = { port: gateway.port, ca: gateway.ca, ALPNProtocols: ['postgresql'] }
    const first = await openTls(t, options)
    // A ticket comes with the first data of the server.
    const ticket = once(first.socket, 'session')
    first.socket.write(packets.startup())
    const [session] = await ticket
    const second = await openTls(t, { ...options, session })
    assert.equal(second.socket.isSessionReused(), true)
    second.socket.write(Buffer.concat([packets.startup(), packets.password(await signToken(gateway))]))
    await assertSession(second)
  })

  it('declines GSSAPI encryption and goes on', async t => {
    const wire = await openWire(t, gateway.port)
    wire.socket.write(packets.gssRequest)
    assert.equal((await wire.take(1)).toString(), 'N')
    wire.socket.write(packets.sslRequest)
    assert.equal((await wire.take(1)).toString(), 'S')
    wire.socket.removeAllListeners('data')
    const encrypted = await openTls(t, { socket: wire.socket, ca: gateway.ca })
    encrypted.socket.write(packets.startup())
    assert.equal((await takeUntil(encrypted, 'R')).readInt32BE(), 3)
  })

  it('refuses what was sent in plaintext behind the request for TLS', async t => {
    const before = decisions.length
    const wire = await openWire(t, gateway.port)
    wire.socket.write(Buffer.concat([packets.sslRequest, packets.startup()]))
    // It is no TLS, and the server takes it for nothing else.
    assert.equal((await wire.rest()).toString(), 'S')
    assert.equal(decisions.length, before)
  })

  it('asks for encryption no second time', async t => {
    const plain = await openWire(t, gateway.port)
    plain.socket.write(packets.gssRequest)
    assert.equal((await plain.take(1)).toString(), 'N')
    plain.socket.write(packets.gssRequest)
    assert.match((await plain.rest()).toString(), /unsupported frontend protocol 1234\.5680/)
    const encrypted = await openNegotiatedTls(t, gateway)
    encrypted.socket.write(packets.sslRequest)
    assert.match((await encrypted.rest()).toString(), /unsupported frontend protocol 1234\.5679/)
  })

  it('does not send a token to be read by who has another authority', async () => {
    let asked = false
    const password = async () => {
      asked = true
      return signToken(gateway)
    }
    const error = await tryConnect(makeClient(gateway, password, { ssl: { ca: tls.rootCertificates[0] } }))
    assert.match(String((error as NodeJS.ErrnoException).code), /SELF_SIGNED_CERT_IN_CHAIN/)
    assert.equal(asked, false)
  })
})

describe('packets', () => {
  it('may come one byte at a time', async t => {
    const plain = await openWire(t, gateway.port)
    for (const byte of packets.sslRequest) {
      plain.socket.write(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.equal((await plain.take(1)).toString(), 'S')
    plain.socket.removeAllListeners('data')
    const wire = await openTls(t, { socket: plain.socket, ca: gateway.ca })
    const token = await signToken(gateway)
    for (const byte of Buffer.concat([packets.startup(), packets.password(token)])) {
      wire.socket.write(Buffer.of(byte))
      if (byte % 8 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await assertSession(wire)
  })

  it('may come glued together: startup, token and first query in the first record', async t => {
    const wire = await openNegotiatedTls(t, gateway)
    const all = [
      packets.startup(),
      packets.password(await signToken(gateway)),
      packets.query("select 'early'"),
    ]
    wire.socket.write(Buffer.concat(all))
    await takeUntil(wire, 'Z')
    assert.match((await takeUntil(wire, 'D')).toString(), /early/)
  })

  it('may come glued to the handshake of direct TLS', direct, async t => {
    const token = await signToken(gateway)
    const socket = tls.connect({
      port: gateway.port,
      servername: 'localhost',
      ca: gateway.ca,
      ALPNProtocols: ['postgresql'],
    })
    // Written before the handshake is done, this leaves with its last flight.
    socket.write(Buffer.concat([packets.startup(), packets.password(token)]))
    t.after(() => socket.destroy())
    let text = ''
    for await (const chunk of socket) {
      text += chunk
      if (text.includes('server_version')) break
    }
    assert.match(text, /server_version/)
  })

  it('of protocol 3.2 and of a version to come are answered as the server does, once that is known', async t => {
    assert.equal(await tryConnect(makeClient(gateway)), undefined)
    for (const version of [0x30002, 0x3270f]) {
      const wire = await openNegotiatedTls(t, gateway)
      const startup = packets.startup({ user: 'app', database: 'orders', '_pq_.unknown': '1' }, version)
      wire.socket.write(Buffer.concat([startup, packets.password(await signToken(gateway))]))
      // NegotiateProtocolVersion comes before all else, for the option that nobody knows.
      const answer = await takeUntil(wire, 'v')
      assert.match(answer.toString(), /_pq_\.unknown/)
      assert.equal((await takeUntil(wire, 'R')).readInt32BE(), 3)
      assert.equal((await takeUntil(wire, 'R')).readInt32BE(), 0)
      // Of a server that speaks 3.2, cancel keys are longer.
      const minor = answer.readInt32BE() & 0xffff
      assert.equal((await takeUntil(wire, 'K')).length > 8, minor >= 2)
    }
  })

  it('carry the parameters of the session to the server', async () => {
    const client = makeClient(gateway, undefined, {
      application_name: 'ünïcode',
      options: '-c statement_timeout=4321',
    })
    await client.connect()
    const { rows } = await client.query(
      `select current_setting('application_name') as name, current_setting('statement_timeout') as timeout`,
    )
    // Each server has its own way with a name that is not in ASCII.
    const [direct] = await postgres.query(`set application_name = 'ünïcode'; show application_name`)
    assert.deepEqual(rows, [{ name: direct?.application_name, timeout: '4321ms' }])
    await client.end()
  })

  it('of a user whose name is not in ASCII name the same user everywhere', async () => {
    await postgres.query('CREATE USER "jürgen o\'x"')
    const user = "jürgen o'x"
    const client = makeClient(gateway, await signToken(gateway, { username: user }), { user })
    await client.connect()
    assert.equal((await client.query('select current_user as user')).rows[0].user, user)
    await client.end()
  })
})

describe('cancel requests', () => {
  it('end the query, over plain TCP and over TLS', async t => {
    for (const open of [() => openWire(t, gateway.port), () => openNegotiatedTls(t, gateway)]) {
      const client = makeClient(gateway)
      await client.connect()
      const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
      const sleeping = assert.rejects(client.query('select pg_sleep(60)'), { code: '57014' })
      await waitUntilSleeping(processID)
      const wire = await open()
      wire.socket.write(packets.cancel(processID, secretKey))
      assert.equal((await wire.rest()).length, 0)
      await sleeping
      assert.equal((await client.query('select 1 as still_usable')).rowCount, 1)
      await client.end()
    }
  })

  it('arrive although the client leaves at once', async t => {
    const client = makeClient(gateway)
    await client.connect()
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
    const sleeping = assert.rejects(client.query('select pg_sleep(60)'), { code: '57014' })
    await waitUntilSleeping(processID)
    const wire = await openWire(t, gateway.port)
    wire.socket.end(packets.cancel(processID, secretKey))
    await sleeping
    await client.end()
  })

  it('with a wrong key end nothing', async t => {
    const client = makeClient(gateway)
    await client.connect()
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
    const wire = await openWire(t, gateway.port)
    wire.socket.write(packets.cancel(processID, secretKey ^ 1))
    await wire.rest()
    assert.equal((await client.query('select 1')).rowCount, 1)
    await client.end()
  })

  async function waitUntilSleeping(processId: number): Promise<void> {
    const sql = `select 1 from pg_stat_activity where pid = ${processId} and wait_event = 'PgSleep'`
    while ((await postgres.query(sql)).length === 0);
  }
})

describe('hostile bytes are refused, and the gateway goes on', () => {
  const token = () => signToken(gateway)
  const silence = /^$/
  const layout = /C08P01\0Minvalid startup packet layout/
  // The client is told by an alert of TLS, where TLS may begin at once.
  const alert = isDirect ? new RegExp(`^${Buffer.of(0x15, 3)}`) : silence
  const rest = (parameters: string) => {
    const bytes = Buffer.from(`\0\0\0\0\0\u0003\0\0${parameters}`)
    bytes.writeInt32BE(bytes.length)
    return bytes
  }
  const firstPackets: [string, Buffer, RegExp][] = [
    ['a request of HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), silence],
    ['a length of zero', Buffer.alloc(64), silence],
    ['a negative length', Buffer.alloc(64, 0xff), silence],
    ['a length over 10 000', rest(`user\0${'x'.repeat(10_000)}\0\0`), silence],
    ['a TLS record with nonsense in it', Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8]), alert],
    [
      'a TLS record without end',
      Buffer.concat([Buffer.from([0x16, 3, 1, 255, 255]), Buffer.alloc(70_000, 1)]),
      alert,
    ],
    [
      'protocol 2.0',
      packets.startup({ user: 'app' }, 0x20000),
      /^EFATAL: {2}unsupported frontend protocol 2\.0/,
    ],
    ['protocol 0.0', packets.startup({ user: 'app' }, 0), /C0A000\0Munsupported frontend protocol 0\.0/],
    ['half a packet', packets.startup().subarray(0, 12), /^$/],
    ['nothing', Buffer.alloc(0), /^$/],
    ['a cancel request without a key', Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2e]), /^$/],
    ['a startup without parameters', rest(''), layout],
    ['a startup without its terminator', rest('user\0app\0'), layout],
    ['a parameter without a value', rest('user\0'), layout],
    ['bytes behind the last parameter', rest('user\0app\0\0abc'), layout],
    [
      'a user that is not UTF-8',
      Buffer.from(rest('user\0app?\0\0').toString('latin1').replace('?', '\xff'), 'latin1'),
      /C22021\0Minvalid byte sequence/,
    ],
    [
      'a user that the server would cut off',
      packets.startup({ user: 'x'.repeat(64) }),
      /C42622\0Muser names have at most 63 bytes/,
    ],
    ['no user', packets.startup({ database: 'orders' }), /C28000\0Mno PostgreSQL user name specified/],
  ]
  for (const [what, bytes, answer] of firstPackets) {
    it(`in place of a first packet: ${what}`, async t => {
      const wire = await openWire(t, gateway.port)
      wire.socket.end(bytes)
      assert.match((await wire.rest()).toString(), answer)
      await assertServing()
    })
  }

  const sizes = /C08P01\0Minvalid password packet size/
  const pam = /C28000\0MPAM authentication failed for user "app"/
  const insteadOfToken: [string, () => Promise<Buffer>, RegExp][] = [
    [
      'another message',
      async () => packets.query('select 1'),
      /C08P01\0Mexpected password response, got message type 81/,
    ],
    ['a password over 64 KiB', async () => packets.password('x'.repeat(65_536)), silence],
    ['a length that is negative', async () => Buffer.from([0x70, 255, 255, 255, 255, 1, 2, 3]), silence],
    ['a length below its own', async () => Buffer.from([0x70, 0, 0, 0, 3, 0, 0, 0]), silence],
    ['no password at all', async () => message('p', Buffer.alloc(0)), sizes],
    ['a token without its terminator', async () => message('p', Buffer.from(await token())), sizes],
    ['a token with a NUL in it', async () => packets.password(`${await token()}\0x`), sizes],
    [
      'bytes that are no UTF-8',
      async () => message('p', Buffer.concat([Buffer.alloc(100, 0xc3), Buffer.alloc(1)])),
      pam,
    ],
    ['half a message', async () => packets.password('secret').subarray(0, 6), /^$/],
    ['an empty password', async () => packets.password(''), /C28P01\0Mempty password returned by client/],
    ['a SASL response', async () => packets.password('SCRAM-SHA-256'), pam],
    ['a huge token', async () => packets.password(`localhost:1/?${'X-Amz-Date=1&'.repeat(4000)}`), pam],
    ['a token of percent signs', async () => packets.password(`localhost:1/?${'%'.repeat(60_000)}`), pam],
  ]
  for (const [what, bytes, answer] of insteadOfToken) {
    it(`in place of the token: ${what}`, async t => {
      const wire = await openNegotiatedTls(t, gateway)
      wire.socket.write(packets.startup())
      await takeUntil(wire, 'R')
      wire.socket.end(await bytes())
      assert.match((await wire.rest()).toString(), answer)
      await assertServing()
    })
  }

  it('and a connection that is reset at each stage', async t => {
    const stages = [
      Buffer.of(0),
      packets.sslRequest.subarray(0, 5),
      packets.sslRequest,
      Buffer.of(0x16, 3, 1, 2, 0, 1),
    ]
    for (const bytes of stages) {
      const wire = await openWire(t, gateway.port)
      wire.socket.write(bytes)
      wire.socket.resetAndDestroy()
    }
    const wire = await openNegotiatedTls(t, gateway)
    wire.socket.write(Buffer.concat([packets.startup(), packets.password(await token())]))
    wire.socket.destroy()
    await assertServing()
  })

  async function assertServing(): Promise<void> {
    assert.equal(await tryConnect(makeClient(gateway)), undefined)
  }
})

it('closes a client that does not finish its handshake, at whatever stage it stops', async t => {
  const hasty = await openGateway(t, postgres, { handshakeTimeoutMs: 1000 })
  const silent = await openWire(t, hasty.gateway.port)
  const halfway = await openWire(t, hasty.gateway.port)
  halfway.socket.write(packets.sslRequest)
  const encrypted = await openNegotiatedTls(t, hasty.gateway)
  encrypted.socket.write(packets.startup())
  const refused = await openNegotiatedTls(t, hasty.gateway)
  refused.socket.allowHalfOpen = true
  refused.socket.write(Buffer.concat([packets.startup(), packets.password('wrong')]))
  for (const wire of [silent, halfway, encrypted, refused]) await wire.rest()
  // A session that was reached stays, however long it is idle.
  const client = makeClient(hasty.gateway)
  await client.connect()
  await client.query('select pg_sleep(1.1)')
  await client.end()
})
