import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectTcp, createServer } from 'node:net'
import { Readable } from 'node:stream'
import { after, it } from 'node:test'
import mysql from 'mysql2/promise'
import type { GatewayOptions, ProxyOptions } from '../../src/index.ts'
import { describeMysql, flags, openMysqlGateway, packet, packets } from '../gateway/mysql-support.ts'
import { openWire, type Scope } from '../gateway/support.ts'
import { openTap } from '../gateway/tap.ts'
import { findMissing, namesOf, openProxy, runTool, until, withPassword } from './support.ts'

const cli = await findMissing('mariadb')

await describeMysql({ after }, server => {
  async function open(t: Scope, options: Partial<ProxyOptions> = {}, front: Partial<GatewayOptions> = {}) {
    const { gateway, decisions } = await openMysqlGateway(t, server, front)
    const fixture = await openProxy(t, gateway, { engine: 'mysql', ...options })
    return { ...fixture, gateway, decisions }
  }

  async function connect(t: Scope, uri: string, options: mysql.ConnectionOptions = {}) {
    const connection = await mysql.createConnection({ uri, ...options })
    connection.on('error', () => {})
    t.after(() => connection.destroy())
    return connection
  }

  const first = async (connection: mysql.Connection, sql: string) =>
    ((await connection.query(sql))[0] as Record<string, unknown>[])[0]

  const isRunning = async (sql: string) =>
    (await server.query(`SELECT 1 FROM information_schema.processlist WHERE info = '${sql}'`))[0] !==
    undefined

  const arguments_ = (port: number, ...more: string[]) => [
    ...['--protocol=tcp', '-h', '127.0.0.1', '-P', String(port), '-u', 'app', '-N', ...more],
  ]

  it('is for the command-line client, old and new passwords alike', { skip: cli }, async t => {
    const { proxy, decisions } = await open(t)
    const env = { MYSQL_PWD: proxy.password ?? '' }
    const sql = ['-e', 'SELECT CURRENT_USER(), DATABASE()', 'orders']
    for (const plugin of ['mysql_native_password', 'caching_sha2_password']) {
      const args = arguments_(proxy.port, `--default-auth=${plugin}`, ...sql)
      assert.equal((await runTool('mariadb', args, env)).stdout, 'app@%\torders\n', plugin)
      const wrong = await runTool('mariadb', args, { MYSQL_PWD: 'not-the-password' })
      assert.match(wrong.stderr, /1045 .*Access denied for user 'app' \(using password: YES\): give/, plugin)
    }
    assert.equal(decisions.length, 3, 'one at the start, and one for each session')
    assert.ok(decisions.every(({ tls }) => tls !== undefined))
  })

  it('is for Ctrl-C in the command-line client, which is a KILL in a connection of its own', {
    skip: cli,
  }, async t => {
    const { proxy } = await open(t)
    const env = { ...process.env, MYSQL_PWD: proxy.password ?? '' }
    const child = spawn('mariadb', arguments_(proxy.port, '-e', 'SELECT SLEEP(601)'), { env })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', chunk => {
        said += chunk
      })
    await until(() => isRunning('SELECT SLEEP(601)'))
    child.kill('SIGINT')
    await once(child, 'close')
    assert.match(said, /Ctrl-C -- query killed/)
    await until(async () => !(await isRunning('SELECT SLEEP(601)')))
  })

  it('offers no compression, so that a client which would like some goes on without', {
    skip: cli,
  }, async t => {
    const { proxy } = await open(t)
    const args = arguments_(proxy.port, '--compress', '-e', "SHOW STATUS LIKE 'Compression'")
    assert.equal(
      (await runTool('mariadb', args, { MYSQL_PWD: proxy.password ?? '' })).stdout,
      'Compression\tOFF\n',
    )
  })

  it('greets in the words of the server, and is for mysql2', async t => {
    const { proxy } = await open(t)
    const connection = await connect(t, proxy.url)
    const row = await first(connection, 'SELECT VERSION() AS version, DATABASE() AS name')
    assert.equal(row?.name, 'orders')
    const wire = await openWire(t, proxy.port)
    const greeting = String(await wire.take(60))
    assert.ok(greeting.includes(String(row?.version)), greeting)
  })

  it('asks the database for nothing where the password is wrong, or the user another one', async t => {
    const { proxy, events, gateway } = await open(t)
    await connect(t, proxy.url)
    const before = gateway.stats().connections
    await assert.rejects(connect(t, withPassword(proxy.url, 'not-the-password')), {
      errno: 1045,
      sqlState: '28000',
      message: /Access denied for user 'app' \(using password: YES\): give the password that this port/,
    })
    await assert.rejects(connect(t, proxy.url.replace(/:[^:@/]+@/, '@')), {
      message: /\(using password: NO\)/,
    })
    await assert.rejects(connect(t, proxy.url.replace('//app:', '//App:')), {
      errno: 1045,
      message: "This port of rds-iam proxy logs in as 'app'; connect with this user, not as 'App'",
    })
    assert.equal(gateway.stats().connections, before)
    assert.equal(namesOf(events).filter(name => name === 'client:refused').length, 3)
  })

  it('has no TLS on this side, and says so to whoever wants it', async t => {
    const { proxy } = await open(t)
    // The most careless client there is: were TLS spoken here, it would get in.
    await assert.rejects(connect(t, proxy.url, { ssl: { rejectUnauthorized: false } }), {
      code: 'HANDSHAKE_NO_SSL_SUPPORT',
    })
  })

  it('refuses hostile bytes, and goes on', async t => {
    const { proxy, gateway } = await open(t)
    await connect(t, proxy.url)
    const before = gateway.stats().connections
    const response = packets.response({ sequence: 1, capabilities: flags.usual })
    for (const bytes of [
      packet(7, 'out of order'),
      packet(1, ''),
      packet(1, 'x'),
      Buffer.from([0xff, 0xff, 0xff, 1]),
      packets.sslRequest(),
      packets.response({ sequence: 1, capabilities: 0x1 }),
      Buffer.concat([response, packet(3, '')]),
      Buffer.concat([response, packet(3, 'x'.repeat(20))]),
      Buffer.concat([response, packet(5, 'x'.repeat(20))]),
      Buffer.concat([response, packets.token(proxy.password ?? '', 3)]),
    ]) {
      const wire = await openWire(t, proxy.port)
      wire.socket.write(bytes)
      assert.match(String(await wire.rest()), /Bad handshake|Access denied|turn TLS off/)
    }
    assert.equal(gateway.stats().connections, before)
    const connection = await connect(t, proxy.url)
    assert.deepEqual(await first(connection, 'SELECT 1 AS one'), { one: 1 })
  })

  it('asks for no password where it is turned off in words', async t => {
    const { proxy } = await open(t, { password: false })
    const connection = await connect(t, proxy.url)
    assert.deepEqual(await first(connection, 'SELECT 1 AS one'), { one: 1 })
  })

  it('passes LOAD DATA LOCAL, whatever its packets read as', async t => {
    const { proxy } = await open(t)
    const connection = await connect(t, proxy.url)
    await server.query('SET GLOBAL local_infile = 1')
    await connection.query('CREATE TEMPORARY TABLE line (text varchar(200)) CHARACTER SET latin1')
    // Each chunk is a packet: the number of every 256th is that of a command, and it reads as COM_QUERY.
    const chunks = Array.from({ length: 1_000 }, (_, index) => Buffer.from(`\x03kill ${index}\n`))
    await connection.query({
      sql: "LOAD DATA LOCAL INFILE 'lines' INTO TABLE line CHARACTER SET latin1 (text)",
      infileStreamFactory: () => Readable.from(chunks),
    } as mysql.QueryOptions)
    const row = await first(
      connection,
      "SELECT COUNT(*) AS count, SUM(text LIKE '_kill %') AS whole FROM line",
    )
    assert.deepEqual([Number(row?.count), Number(row?.whole)], [1_000, 1_000])
  })

  it('leads KILL of the number that a client was told to its thread', async t => {
    const { proxy } = await open(t)
    const sleeping = await connect(t, proxy.url)
    const other = await connect(t, proxy.url)
    assert.notEqual(sleeping.threadId, (await first(sleeping, 'SELECT CONNECTION_ID() AS id'))?.id)
    const ended = sleeping.query('SELECT SLEEP(600)').then(
      ([rows]) => JSON.stringify(rows),
      error => error.code as string,
    )
    await until(() => isRunning('SELECT SLEEP(600)'))
    await other.query(`KILL QUERY ${sleeping.threadId}`)
    // MySQL's SLEEP gives 1 where it is interrupted.
    assert.match(await ended, /ER_QUERY_INTERRUPTED|:1\}/)
    await assert.rejects(other.query('KILL QUERY 4294967295'), { code: 'ER_NO_SUCH_THREAD' })
    const gone = new Promise<void>(resolve => sleeping.once('error', () => resolve()))
    await other.query(`KILL ${sleeping.threadId}`)
    await gone
  })

  it('gives a session that changes to its own user a token again, and the client is asked as well', async t => {
    const { proxy, decisions } = await open(t)
    const connection = await connect(t, proxy.url)
    await connection.query('SET @mine = 1')
    const before = decisions.length
    const password = proxy.password ?? ''
    await connection.changeUser({ user: 'app', password, database: 'other' })
    assert.deepEqual(await first(connection, 'SELECT @mine AS mine, DATABASE() AS name'), {
      mine: null,
      name: 'other',
    })
    assert.equal(decisions.length, before + 1)
    await assert.rejects(connection.changeUser({ user: 'app', password: 'not-the-password' }), {
      errno: 1045,
    })
    assert.equal(decisions.length, before + 1)
  })

  it('is 100 connections at once', async t => {
    const { proxy } = await open(t, { connectTimeoutMs: 120_000 })
    const connections = await Promise.all(
      Array.from({ length: 100 }, () => connect(t, proxy.url, { connectTimeout: 120_000 })),
    )
    const ids = await Promise.all(connections.map(one => first(one, 'SELECT CONNECTION_ID() AS id')))
    assert.equal(new Set(ids.map(row => row?.id)).size, 100)
  })

  it('passes the end of either side on', async t => {
    const { proxy, gateway } = await open(t)
    const connection = await connect(t, proxy.url)
    await until(() => gateway.stats().open === 1)
    connection.destroy()
    await until(() => gateway.stats().open === 0)
    const second = await connect(t, proxy.url)
    const gone = new Promise<void>(resolve => second.once('error', () => resolve()))
    await gateway.close()
    await gone
  })

  it('tells the refusal of RDS, with its number and what to check', async t => {
    const policy = {
      document: {
        Version: '2012-10-17',
        Statement: { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' },
      },
      resourceId: 'db-ABCDEFGHIJKL01234',
    }
    const { proxy, events } = await open(t, { retryRefused: false }, { policy })
    await assert.rejects(connect(t, proxy.url), {
      errno: 1045,
      message: /^Could not connect as app@localhost:\d+\/orders in eu-west-1: Access denied for user/,
    })
    const failed = events.find(({ event }) => event === 'session:failed') as { error?: Error } | undefined
    assert.match(failed?.error?.message ?? '', /Check first that the role may `rds-db:connect`/)
  })

  it('tells a database that is not there, and one that the user may not use', async t => {
    const { proxy } = await open(t)
    await assert.rejects(connect(t, proxy.url.replace(/orders$/, 'gone')), {
      errno: 1049,
      message: /there is no database "gone"/,
    })
  })

  it('tells that nothing listens', async t => {
    const options: Partial<ProxyOptions> = { engine: 'mysql', connectTimeoutMs: 400 }
    const { proxy } = await openProxy(t, { port: 1, ca: '' }, { ...options, tls: undefined })
    await assert.rejects(connect(t, proxy.url), { errno: 1105, message: /Nothing listens there/ })
  })

  it('has a client connect again that it could not greet in the words of the server', async t => {
    const { gateway } = await openMysqlGateway(t, server)
    let isThere = false
    const relay = createServer(socket => {
      socket.on('error', () => {})
      if (!isThere) return void socket.destroy()
      const upstream = connectTcp(gateway.port, '127.0.0.1').on('error', () => {})
      socket.pipe(upstream).pipe(socket)
    }).listen(0, '127.0.0.1')
    await once(relay, 'listening')
    t.after(() => relay.close())
    const { port } = relay.address() as { port: number }
    const { proxy } = await openProxy(
      t,
      { ...gateway, port },
      {
        engine: 'mysql',
        password: false,
        connectTimeoutMs: 500,
        endpoint: { host: 'localhost', port: gateway.port },
      },
    )
    const wire = await openWire(t, proxy.port)
    await wire.take(60)
    isThere = true
    wire.socket.write(packets.response({ sequence: 1, capabilities: flags.usual }))
    assert.match(String(await wire.rest()), /was not reached when this client was greeted.*connect again/)
    const connection = await connect(t, proxy.url)
    assert.deepEqual(await first(connection, 'SELECT 1 AS one'), { one: 1 })
  })

  it('sends no token to a server with another name, or without TLS', async t => {
    const { gateway } = await openMysqlGateway(t, server)
    const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 3306 }
    const other = await openProxy(t, gateway, { engine: 'mysql', endpoint })
    await assert.rejects(connect(t, other.proxy.url), { message: /The certificate is another server's than/ })
    assert.equal(gateway.stats().connections, 0)

    const tap = await openTap(t, server)
    const plain = await openProxy(t, { ...gateway, port: tap.port }, { engine: 'mysql' })
    await assert.rejects(connect(t, plain.proxy.url), { message: /does not speak TLS as RDS does/ })
    assert.equal(Buffer.concat(tap.take()).length, 0)
  })
})
