import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { after, describe, it } from 'node:test'
import { from, to } from 'pg-copy-streams'
import { startTlsPostgres } from '../../../test/support/tls-postgres.ts'
import { message, openGateway, openPostgres, openWire, packets } from '../gateway/support.ts'
import { openTap } from '../gateway/tap.ts'
import {
  connectLocally,
  findMissing,
  makeLocalClient,
  namesOf,
  openProxy,
  runTool,
  until,
  withPassword,
} from './support.ts'

const psql = await findMissing('psql')
/** One that speaks TLS itself, and asks `app` for a password. */
const tlsServer = startTlsPostgres(
  'hostssl all app 127.0.0.1/32 scram-sha-256\nhostssl all postgres 127.0.0.1/32 trust',
)
const server = await openPostgres({ after })
const { gateway, decisions } = await openGateway({ after }, server)

describe('a local port for PostgreSQL', () => {
  it('is for psql by the URL that it gives, and by the environment', { skip: psql }, async t => {
    const { proxy } = await openProxy(t, gateway)
    const sql = ['-Atc', 'SELECT current_user, current_database()']
    assert.equal((await runTool('psql', [proxy.url, ...sql])).stdout, 'app|orders\n')
    assert.equal((await runTool('psql', sql, proxy.environment)).stdout, 'app|orders\n')
    assert.equal(decisions.at(-1)?.tls?.version, 'TLSv1.3')
  })

  it('passes the startup packet on as it is, and what the server says of it', async t => {
    const { proxy } = await openProxy(t, gateway)
    const client = await connectLocally(t, proxy, {
      application_name: 'a table of mine',
      options: '-c statement_timeout=1234',
    })
    const { rows } = await client.query(
      `SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout`,
    )
    assert.deepEqual(rows, [{ name: 'a table of mine', timeout: '1234ms' }])
  })

  it('leads to the database that the client names', async t => {
    const { proxy } = await openProxy(t, gateway)
    const client = await connectLocally(t, proxy, {
      connectionString: proxy.url.replace('/orders?', '/postgres?'),
    })
    assert.deepEqual((await client.query('SELECT current_database() AS name')).rows, [{ name: 'postgres' }])
  })

  it('tells a client of a wrong password so, and asks the database for nothing', async t => {
    const { proxy, events } = await openProxy(t, gateway)
    const before = gateway.stats().connections
    const wrong = withPassword(proxy.url, 'not-the-password')
    await assert.rejects(makeLocalClient(proxy, { connectionString: wrong }).connect(), {
      code: '28P01',
      message: /password authentication failed for user "app": give the password that this port/,
    })
    assert.deepEqual(namesOf(events), ['client:refused'])
    assert.equal(gateway.stats().connections, before)
    assert.equal(gateway.stats().open, 0)
  })

  it('logs in as its own user and nobody else, whatever the password', async t => {
    const { proxy, events } = await openProxy(t, gateway)
    const other = proxy.url.replace('//app:', '//App:')
    await assert.rejects(makeLocalClient(proxy, { connectionString: other }).connect(), {
      code: '28000',
      message: 'this port of rds-iam proxy logs in as "app"; connect with this user, not as "App"',
    })
    assert.deepEqual(namesOf(events), ['client:refused'])
  })

  it('asks for no password where it is turned off in words', async t => {
    const { proxy } = await openProxy(t, gateway, { password: false })
    assert.equal(proxy.password, undefined)
    assert.match(proxy.url, /^postgres:\/\/app@127\.0\.0\.1:/)
    const client = await connectLocally(t, proxy)
    assert.equal((await client.query('SELECT 1')).rowCount, 1)
  })

  it('takes SSLRequest and GSSENCRequest, and says that there is no encryption here', async t => {
    const { proxy } = await openProxy(t, gateway, { password: false })
    const wire = await openWire(t, proxy.port)
    wire.socket.write(packets.gssRequest)
    assert.equal(String(await wire.take(1)), 'N')
    wire.socket.write(packets.sslRequest)
    assert.equal(String(await wire.take(1)), 'N')
    wire.socket.write(packets.startup())
    assert.equal(String(await wire.take(1)), 'R')
  })

  it('is asked for encryption once in each way, as PostgreSQL is: a flood of requests would fill the memory', async t => {
    const { proxy } = await openProxy(t, gateway)
    const wire = await openWire(t, proxy.port)
    wire.socket.end(Buffer.concat([packets.sslRequest, packets.gssRequest, packets.sslRequest]))
    assert.match(await text(wire.socket), /^NNE[\s\S]*C0A000\0Munsupported frontend protocol 1234\.5679/)
  })

  it('ends what begins with no startup packet, TLS for example, without an answer, as PostgreSQL does', async t => {
    const { proxy } = await openProxy(t, gateway)
    for (const bytes of [Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1]), Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
      const wire = await openWire(t, proxy.port)
      wire.socket.write(bytes)
      assert.equal(String(await wire.rest()), '')
    }
  })
})

it('refuses hostile bytes, and goes on', async t => {
  const { proxy } = await openProxy(t, gateway)
  const before = gateway.stats().connections
  const sasl = (mechanism: string, text: string) => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(text.length)
    return message('p', Buffer.concat([Buffer.from(`${mechanism}\0`), length, Buffer.from(text)]))
  }
  for (const bytes of [
    Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
    Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0x61]),
    packets.startup({ user: 'app' }, 0x20000),
    packets.startup({}),
    ...[
      packets.password(proxy.password ?? ''),
      packets.query('SELECT 1'),
      Buffer.from('p\xff\xff\xff\xff', 'latin1'),
      Buffer.from('p\x7f\xff\xff\xff', 'latin1'),
      message('p', Buffer.alloc(0)),
      sasl('SCRAM-SHA-256-PLUS', 'p=tls-server-end-point,,n=,r=abc'),
      sasl('SCRAM-SHA-256', 'n,,n=,r='),
      Buffer.concat([sasl('SCRAM-SHA-256', 'n,,n=,r=abc'), message('p', Buffer.from('c=biws,r=abc,p=AAAA'))]),
    ].map(answer => Buffer.concat([packets.startup(), answer])),
  ]) {
    const wire = await openWire(t, proxy.port)
    wire.socket.write(bytes)
    // An error, or the end at once; and no more than a request for the password before.
    assert.doesNotMatch(String(await wire.rest()), /server_version/)
  }
  assert.equal(gateway.stats().connections, before)
  const client = await connectLocally(t, proxy)
  assert.equal((await client.query('SELECT 1')).rowCount, 1)
})

describe('what passes a local port for PostgreSQL', () => {
  it('is COPY in both directions, to the byte', async t => {
    const { proxy } = await openProxy(t, gateway)
    const client = await connectLocally(t, proxy)
    await client.query('CREATE TEMPORARY TABLE line (text text)')
    const lines = Array.from({ length: 20_000 }, () => `${randomBytes(60).toString('hex')}\n`).join('')
    await pipeline(Readable.from([lines]), client.query(from('COPY line FROM STDIN')))
    const back = await buffer(client.query(to('COPY line TO STDOUT')))
    const digest = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
    assert.equal(digest(back), digest(lines))
  })

  it('is a request to cancel, which reaches the server that has the session, over verified TLS', async t => {
    const { proxy } = await openProxy(t, gateway)
    const client = await connectLocally(t, proxy)
    const cancelled = assert.rejects(client.query('SELECT pg_sleep(600)'), { code: '57014' })
    await until(async () => (await running('pg_sleep(600)')) > 0)
    const wire = await openWire(t, proxy.port)
    wire.socket.write(packets.cancel(client.processID, client.secretKey))
    assert.equal((await wire.rest()).length, 0)
    await cancelled
  })

  it('is one with the long key of protocol 3.2', async t => {
    const { proxy } = await openProxy(t, gateway, { password: false })
    const session = await openWire(t, proxy.port)
    session.socket.write(packets.startup(undefined, 0x30002))
    /** The body of the next message of a type. */
    const next = async (wanted: string): Promise<Buffer> => {
      for (;;) {
        const head = await session.take(5)
        const length = head.readInt32BE(1) - 4
        const body = length === 0 ? Buffer.alloc(0) : await session.take(length)
        if (String.fromCharCode(head[0] ?? 0) === wanted) return body
      }
    }
    const key = await next('K')
    await next('Z')
    assert.equal(key.length, 36)
    session.socket.write(packets.query('SELECT pg_sleep(603)'))
    await until(async () => (await running('pg_sleep(603)')) > 0)
    const wire = await openWire(t, proxy.port)
    const head = Buffer.alloc(8)
    head.writeInt32BE(8 + key.length)
    head.writeInt32BE(80877102, 4)
    wire.socket.write(Buffer.concat([head, key]))
    assert.equal((await wire.rest()).length, 0)
    assert.match(String(await next('E')), /57014/)
  })

  it('is Ctrl-C in psql', { skip: psql }, async t => {
    const { proxy } = await openProxy(t, gateway)
    const child = spawn('psql', [proxy.url, '-c', 'SELECT pg_sleep(601)'])
    let said = ''
    child.stderr.on('data', chunk => {
      said += chunk
    })
    await until(async () => (await running('pg_sleep(601)')) > 0)
    child.kill('SIGINT')
    await once(child, 'close')
    assert.match(said, /canceling statement due to user request/)
  })

  it('is no request to cancel with a key that is nobody’s', async t => {
    const tap = await openTap(t, gateway)
    const { proxy } = await openProxy(t, { ...gateway, port: tap.port }, { endpoint: endpointOf(gateway) })
    const client = await connectLocally(t, proxy)
    tap.take()
    const wire = await openWire(t, proxy.port)
    wire.socket.write(packets.cancel(client.processID, client.secretKey ^ 1))
    assert.equal((await wire.rest()).length, 0)
    assert.deepEqual(tap.take(), [])
    await client.end()
    // The key of a session that has ended is nobody's either.
    await until(() => tap.open() === 0)
    const late = await openWire(t, proxy.port)
    late.socket.write(packets.cancel(client.processID, client.secretKey))
    assert.equal((await late.rest()).length, 0)
    assert.deepEqual(tap.take(), [])
  })

  it('is 200 connections at once, each with a session of its own', async t => {
    const { proxy, events } = await openProxy(t, gateway, { connectTimeoutMs: 120_000 })
    const clients = await Promise.all(Array.from({ length: 200 }, () => connectLocally(t, proxy)))
    const ids = await Promise.all(clients.map(client => client.query('SELECT pg_backend_pid() AS id')))
    assert.equal(new Set(ids.map(({ rows }) => rows[0].id)).size, 200)
    assert.equal(events.filter(({ event }) => event === 'token:signed').length, 1)
  })

  it('is the end of the server’s session, with its reason', async t => {
    const { proxy, events } = await openProxy(t, gateway)
    const client = makeLocalClient(proxy)
    await client.connect()
    const ended = new Promise<void>(resolve => client.once('end', resolve))
    const failed = assert.rejects(client.query('SELECT pg_sleep(602)'), { code: '57P01' })
    await until(async () => (await running('pg_sleep(602)')) > 0)
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(602)'`,
    )
    await failed
    await ended
    await until(() => namesOf(events).includes('session:closed'))
  })

  it('is the end of the client, which takes its session at the database along', async t => {
    const { proxy } = await openProxy(t, gateway)
    const client = makeLocalClient(proxy)
    await client.connect()
    assert.equal(gateway.stats().open, 1)
    ;(
      client as unknown as { connection: { stream: { resetAndDestroy(): void } } }
    ).connection.stream.resetAndDestroy()
    await until(() => gateway.stats().open === 0)
  })

  it('is the answer to a client that has said all and closed its side', async t => {
    const tls = await tlsServer
    const where = { port: tls.server.port, ca: tls.ca }
    const { proxy, events } = await openProxy(t, where, { user: 'postgres', password: false })
    const wire = await openWire(t, proxy.port)
    const startup = packets.startup({ user: 'postgres', database: 'postgres' })
    wire.socket.end(Buffer.concat([startup, packets.query(`SELECT 'the ' || 'answer'`)]))
    assert.match(String(await wire.rest()), /the answer/)
    await until(() => namesOf(events).includes('session:closed'))
  })
})

describe('what a client of PostgreSQL is told', () => {
  it('is the refusal of RDS, with what to check, and the log says it too', async t => {
    const policy = {
      document: {
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' },
      },
      resourceId: 'db-ABCDEFGHIJKL01234',
    }
    const strict = await openGateway(t, server, { policy })
    const { proxy, events } = await openProxy(t, strict.gateway, { retryRefused: false })
    const words =
      /^Could not connect as app@localhost:\d+\/other in eu-west-1: PAM authentication failed for user "app" \(28000\)\. The server refused the authentication token\. Check first that the role may `rds-db:connect`/
    await assert.rejects(
      makeLocalClient(proxy, { connectionString: proxy.url.replace('/orders?', '/other?') }).connect(),
      { code: '28000', message: words },
    )
    const failed = events.find(({ event }) => event === 'session:failed')
    assert.match((failed as { error: Error }).error.message, words)
    assert.equal((failed as { database: string }).database, 'other')
    assert.equal(strict.decisions.length, 1)
  })

  it('is after retries, where refusals may pass', async t => {
    const strict = await openGateway(t, server, { maxConnectionsPerSecond: 1 })
    const { proxy, events } = await openProxy(t, strict.gateway, { connectTimeoutMs: 60_000 })
    const clients = [makeLocalClient(proxy), makeLocalClient(proxy), makeLocalClient(proxy)]
    await Promise.all(clients.map(client => client.connect()))
    await Promise.all(clients.map(client => client.end()))
    assert.ok(namesOf(events).includes('connection:retried'))
  })

  it('is that nothing listens, or that nobody answers', async t => {
    const { proxy } = await openProxy(t, { ...gateway, port: 1 }, { connectTimeoutMs: 300 })
    await assert.rejects(makeLocalClient(proxy).connect(), {
      code: '08001',
      message: /ECONNREFUSED.*Nothing listens there/,
    })
  })

  it('is that a database is not there, in the server’s code', async t => {
    const { proxy } = await openProxy(t, gateway)
    const gone = proxy.url.replace('/orders?', '/gone?')
    await assert.rejects(makeLocalClient(proxy, { connectionString: gone }).connect(), {
      code: '3D000',
      message: /there is no database "gone"/,
    })
  })

  it('is that the certificate is another server’s; no token is sent', async t => {
    const { proxy } = await openProxy(t, gateway, {
      endpoint: { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 },
    })
    const before = gateway.stats().connections
    await assert.rejects(makeLocalClient(proxy).connect(), {
      code: '08001',
      message: /The certificate is another server's than orders\.c1x2\.eu-west-1\.rds\.amazonaws\.com/,
    })
    assert.equal(gateway.stats().connections, before)
  })

  it('is that the authority is not trusted; no token is sent, whatever the environment says', async t => {
    const { proxy } = await openProxy(t, gateway, { tls: undefined })
    const before = gateway.stats().connections
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    t.after(() => delete process.env.NODE_TLS_REJECT_UNAUTHORIZED)
    await assert.rejects(makeLocalClient(proxy).connect(), {
      code: '08001',
      message: /does not come from an authority that is trusted/,
    })
    assert.equal(gateway.stats().connections, before)
  })

  it('is that the server has no TLS; no token is sent', async t => {
    const tap = await openTap(t, server)
    const { proxy } = await openProxy(t, { ...gateway, port: tap.port })
    await assert.rejects(makeLocalClient(proxy).connect(), {
      code: '08001',
      message: /The server does not support SSL connections/,
    })
    assert.deepEqual(tap.take(), [packets.sslRequest])
  })

  it('is that the server wants a password and no token', async t => {
    const tls = await tlsServer
    await tls.server.query(`CREATE USER app PASSWORD 'of no use'`)
    const { proxy } = await openProxy(t, { port: tls.server.port, ca: tls.ca })
    await assert.rejects(makeLocalClient(proxy, { connectionString: proxy.url }).connect(), {
      message:
        /asked for a password by SCRAM, not for a token\. The database does not take app for an IAM user/,
    })
  })

  it('is nothing any more once it has left: the attempt ends with it', async t => {
    const silent = await openWireServer(t)
    const { proxy, events } = await openProxy(
      t,
      { ...gateway, port: silent.port },
      { connectTimeoutMs: 600_000 },
    )
    const client = makeLocalClient(proxy)
    client.connect().catch(() => {})
    await until(() => silent.open() > 0)
    ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
    await until(() => silent.open() === 0 && namesOf(events).includes('session:failed'))
  })
})

describe('a local port that leads through a tunnel', () => {
  it('has the token and the certificate of the endpoint', async t => {
    const tunnel = await openTap(t, gateway)
    const { proxy } = await openProxy(
      t,
      { ...gateway, port: tunnel.port },
      { host: '127.0.0.1', endpoint: endpointOf(gateway) },
    )
    const client = await connectLocally(t, proxy)
    assert.equal((await client.query('SELECT 1')).rowCount, 1)
    assert.equal(tunnel.open(), 1)
  })
})

it('tells of no token in any event', async t => {
  const { proxy, events } = await openProxy(t, gateway)
  await connectLocally(t, proxy)
  const said = JSON.stringify(events)
  assert.match(said, /token:signed/)
  assert.doesNotMatch(said, /X-Amz-|defaultsecret/)
  assert.ok(!said.includes(proxy.password ?? ''))
})

const endpointOf = ({ port }: { readonly port: number }) => ({ host: 'localhost', port })

async function running(query: string): Promise<number> {
  const rows = await server.query(
    `SELECT count(*)::int AS count FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT ${query}'`,
  )
  return rows[0]?.count as number
}

/** A server that takes connections and says nothing. */
async function openWireServer(t: Parameters<typeof openTap>[0]) {
  const { createServer } = await import('node:net')
  let open = 0
  const silent = createServer(socket => {
    open += 1
    socket
      .on('error', () => {})
      .on('close', () => {
        open -= 1
      })
    socket.resume()
  }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.after(() => silent.close())
  return { port: (silent.address() as { port: number }).port, open: () => open }
}
