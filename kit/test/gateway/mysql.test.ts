import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import * as tls from 'node:tls'
import { promisify } from 'node:util'
import type mysql from 'mysql2/promise'
import { findOnPath } from '../../src/database/mysql-program.ts'
import {
  connectMysql,
  describeMysql,
  flags,
  openGluedTls,
  openMysqlGateway,
  openMysqlSession,
  openMysqlTls,
  openMysqlWire,
  packet,
  packets,
  parseError,
  queryRow,
  tryMysql,
  waitUntil,
} from './mysql-support.ts'
import { signToken } from './support.ts'

await describeMysql({ after }, server => {
  describe('the greeting', () => {
    it('is the server’s own, but for the salt and what the gateway does not pass on', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const salts = new Set<string>()
      for (const port of [server.port, gateway.port, gateway.port]) {
        const { body } = await (await openMysqlWire(t, { ...gateway, port })).takePacket()
        const end = body.indexOf(0)
        assert.ok(body.toString('latin1', 1, end).endsWith(server.version))
        const salt = body.subarray(end + 5, end + 13)
        salts.add(`${salt.toString('hex')}${body.toString('hex', end + 32, end + 44)}`)
        const capabilities = body.readUInt16LE(end + 14) | (body.readUInt16LE(end + 19) << 16)
        assert.equal((capabilities & flags.ssl) !== 0, port === gateway.port)
        assert.equal((capabilities & flags.compress) !== 0, port === server.port)
      }
      assert.equal(salts.size, 3)
    })

    it('has the connection’s true id, which KILL takes', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway)
      const killer = await connectMysql(gateway, { user: 'App' })
      assert.equal((await queryRow(connection, 'SELECT CONNECTION_ID() AS id'))?.id, connection.threadId)
      const sleeping = assert.rejects(connection.query('SELECT SLEEP(60)'), (error: NodeJS.ErrnoException) =>
        ['ER_QUERY_INTERRUPTED', 'PROTOCOL_CONNECTION_LOST'].includes(error.code ?? ''),
      )
      const asleep = `SELECT 1 FROM information_schema.processlist WHERE id = ${connection.threadId} AND info LIKE 'SELECT SLEEP%'`
      await waitUntil(async () => (await server.query(asleep)).length === 1)
      await killer.query(`KILL ${connection.threadId}`)
      await sleeping
      await waitUntil(async () => gateway.stats().open === 1)
      await killer.end()
    })
  })

  describe('encryption', () => {
    it('refuses a client that does not ask for TLS, in the server’s words', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      let asked = false
      const plain: mysql.ConnectionOptions = {
        host: 'localhost',
        port: gateway.port,
        authPlugins: {
          mysql_clear_password: () => () => {
            asked = true
            return Buffer.alloc(1)
          },
        },
      }
      const error = await tryMysql(gateway, { ...plain, ssl: undefined as never })
      assert.equal(error?.errno, 3159)
      assert.equal(error?.sqlState, 'HY000')
      assert.equal(
        error?.message,
        'Connections using insecure transport are prohibited while --require_secure_transport=ON.',
      )
      assert.equal(asked, false)
      assert.equal(decisions[0]?.reason, 'NotEncrypted')
      assert.equal(decisions[0]?.user, 'app')
      assert.equal(decisions[0]?.database, 'orders')
      assert.equal(decisions[0]?.tls, undefined)
    })

    it('begins where the request for it ends, also when both come in one piece', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const wire = await openGluedTls(t, gateway)
      wire.socket.write(packets.response())
      assert.equal(
        (await wire.takePacket()).body.toString(),
        '\xfemysql_clear_password\0'.replace('\xfe', '\ufffd'),
      )
    })

    it('takes nothing for a client’s word that was sent in plaintext behind the request', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const wire = await openMysqlWire(t, gateway)
      await wire.takePacket()
      const token = await signToken(gateway)
      wire.socket.write(Buffer.concat([packets.sslRequest(), packets.response(), packets.token(token)]))
      // An alert of TLS at most.
      assert.ok((await wire.rest()).length <= 7)
      assert.equal(decisions.length, 0)
    })

    it('does not send a token to be read by who has another authority', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      let asked = false
      const ssl = { ca: tls.rootCertificates[0], verifyIdentity: true } as mysql.SslOptions
      const error = await tryMysql(gateway, { ssl }, () => {
        asked = true
        return signToken(gateway)
      })
      assert.match(String(error?.message), /self.signed certificate/)
      assert.equal(asked, false)
    })
  })

  describe('authentication', () => {
    it('lets in who has a valid token, as the user that it is for', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      for (const user of ['app', 'App', 'Zoë']) {
        const connection = await connectMysql(gateway, { user })
        assert.deepEqual(await queryRow(connection, 'SELECT CURRENT_USER() AS user, DATABASE() AS db'), {
          user: `${user}@%`,
          db: 'orders',
        })
        await connection.end()
        const decision = decisions.at(-1)
        assert.equal(decision?.verdict, 'admitted')
        assert.equal(decision?.user, user)
        assert.equal(decision?.database, 'orders')
        assert.match(decision?.tls?.version ?? '', /^TLSv1\.[23]$/)
        assert.match(decision?.tokenId ?? '', /^[0-9a-f]{12}$/)
        assert.ok(decision?.tokenSignedAt instanceof Date)
      }
      await waitUntil(async () => gateway.stats().open === 0)
      assert.deepEqual(gateway.stats(), { connections: 3, open: 0, admitted: 3, refused: 0, tokens: 3 })
    })

    it('needs no database', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway, { database: undefined as never })
      assert.equal((await queryRow(connection, 'SELECT DATABASE() AS db'))?.db, null)
      await connection.end()
      assert.equal(decisions[0]?.database, '')
    })

    const allow = { Effect: 'Allow', Action: 'rds-db:connect' }
    const arn = 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-X/App'
    const policy = {
      resourceId: 'db-X',
      document: { Version: '2012-10-17', Statement: { ...allow, Resource: arn } },
    }
    const refusals = {
      'a token for another user': {
        token: (gateway: { port: number }) => signToken(gateway, { username: 'App' }),
        reason: 'InvalidToken',
      },
      'a token for another port': {
        token: () => signToken({ port: 3306 }),
        reason: 'InvalidToken',
      },
      'a changed token': {
        token: async (gateway: { port: number }) =>
          (await signToken(gateway)).replace(/.$/, last => (last === '0' ? '1' : '0')),
        reason: 'InvalidToken',
      },
      'a password': { token: async () => 'secret', reason: 'InvalidToken' },
      'an expired token': { options: { now: () => Date.now() + 901_000 }, reason: 'ExpiredToken' },
      'a user that the policy does not name': { options: { policy }, reason: 'NotAuthorized' },
    }
    for (const [what, { reason, ...given }] of Object.entries(refusals)) {
      it(`refuses ${what} as RDS does`, async t => {
        const options = 'options' in given ? given.options : {}
        const { gateway, decisions } = await openMysqlGateway(t, server, options)
        const token = 'token' in given ? await given.token(gateway) : await signToken(gateway)
        const error = await tryMysql(gateway, {}, token)
        assert.equal(error?.code, 'ER_ACCESS_DENIED_ERROR')
        assert.equal(error?.errno, 1045)
        assert.equal(error?.sqlState, '28000')
        assert.equal(error?.message, "Access denied for user 'app'@'127.0.0.1' (using password: YES)")
        assert.equal(decisions.length, 1)
        assert.equal(decisions[0]?.reason, reason)
        await waitUntil(async () => (await sessions()) === 0)
      })
    }

    it('limits new connections a second', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server, {
        maxConnectionsPerSecond: 2,
        now: () => Date.parse('2026-11-22T12:00:00Z'),
      })
      const token = await signToken(gateway, { signingDate: new Date('2026-11-22T12:00:00Z') } as never)
      const errors: (number | undefined)[] = []
      for (let attempt = 0; attempt < 3; attempt += 1)
        errors.push((await tryMysql(gateway, {}, token))?.errno)
      assert.equal(errors[2], 1045)
      assert.equal(decisions[2]?.reason, 'ThrottlingException')
    })

    const answers = {
      'is empty': [Buffer.alloc(0), 'NO'],
      'is an empty password': [Buffer.alloc(1), 'NO'],
      'lacks its terminator': [undefined, 'YES'],
      'has a NUL in it': [Buffer.from('a\0b\0'), 'YES'],
      'is no UTF-8': [Buffer.concat([Buffer.alloc(100, 0xc3), Buffer.alloc(1)]), 'YES'],
      'is of percent signs': [Buffer.from(`localhost:1/?${'%'.repeat(60_000)}\0`), 'YES'],
    } as const
    for (const [what, [bytes, using]] of Object.entries(answers)) {
      it(`refuses an answer that ${what}`, async t => {
        const { gateway, decisions } = await openMysqlGateway(t, server)
        const error = await tryMysql(gateway, {}, bytes ?? Buffer.from(await signToken(gateway)))
        assert.equal(error?.message, `Access denied for user 'app'@'127.0.0.1' (using password: ${using})`)
        assert.equal(decisions[0]?.reason, 'InvalidToken')
      })
    }

    async function sessions(): Promise<number> {
      const rows = await server.query(
        "SELECT 1 FROM information_schema.processlist WHERE user = 'app' OR user LIKE 'unauth%'",
      )
      return rows.length
    }
  })

  describe('packets', () => {
    it('may come one byte at a time', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const plain = await openMysqlWire(t, gateway)
      await plain.takePacket()
      plain.socket.removeAllListeners('data')
      const socket = plain.socket
      for (const byte of packets.sslRequest()) {
        socket.write(Buffer.of(byte))
        await new Promise(resolve => setImmediate(resolve))
      }
      const secure = tls.connect({ socket, servername: 'localhost', ca: gateway.ca })
      t.after(() => secure.destroy())
      const token = await signToken(gateway)
      const all = [packets.response(), packets.token(token), packets.query("SELECT 'passed on'")]
      for (const byte of Buffer.concat(all)) {
        secure.write(Buffer.of(byte))
        if (byte % 8 === 0) await new Promise(resolve => setImmediate(resolve))
      }
      let text = ''
      for await (const chunk of secure) {
        text += chunk
        if (/passed on.*passed on/s.test(text)) break
      }
    })

    it('may come glued together: response, token and first query in one record', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const wire = await openMysqlTls(t, gateway)
      const token = await signToken(gateway)
      wire.socket.write(
        Buffer.concat([packets.response(), packets.token(token), packets.query("SELECT 'early'")]),
      )
      const bodies: string[] = []
      while (bodies.filter(body => body.includes('early')).length < 2)
        bodies.push((await wire.takePacket()).body.toString('latin1'))
      assert.match(bodies[0] ?? '', /mysql_clear_password/)
    })

    it('are numbered as the client counts', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const wire = await openMysqlTls(t, gateway)
      wire.socket.write(packets.response())
      assert.equal((await wire.takePacket()).sequence, 3)
      wire.socket.write(packets.token(await signToken(gateway)))
      const { sequence, body } = await wire.takePacket()
      assert.deepEqual([sequence, body[0]], [5, 0])
    })

    it('of a client that knows more than was offered get no more than that', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const wire = await openMysqlSession(t, gateway, flags.compress | 0x0c000000)
      wire.socket.write(packets.query("SELECT 'not compressed'"))
      assert.equal((await wire.takePacket()).body.toString('hex'), '01')
      assert.match((await wire.takePacket()).body.toString(), /not compressed/)
    })
  })

  describe('hostile bytes are refused, and the gateway goes on', () => {
    const bad = /^.{3}#08S01Bad handshake$/s
    const firsts: Record<string, readonly [Buffer, RegExp]> = {
      'a request of HTTP': [Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'), bad],
      'an empty packet': [packet(1), bad],
      'a packet out of order': [packets.sslRequest(3), bad],
      'a packet without end': [Buffer.from([0xff, 0xff, 0xff, 1, 0, 0]), bad],
      'a request for TLS that is too short': [packet(1, packets.sslRequest().subarray(4, 35)), bad],
      'half a packet': [packets.sslRequest().subarray(0, 20), /^$/],
      nothing: [Buffer.alloc(0), /^$/],
      'a client without plugins': [
        packets.response({ sequence: 1, capabilities: flags.usual & ~flags.pluginAuth }),
        bad,
      ],
      'a client of before MySQL 4.1': [packet(1, Buffer.from([5, 0, 0, 0, 0]), 'root\0'), bad],
      'a user without end': [packets.response({ sequence: 1 }).subarray(0, 39), /^$/],
    }
    for (const [what, [bytes, answer]] of Object.entries(firsts)) {
      it(`in place of a first packet: ${what}`, async t => {
        const { gateway, decisions } = await openMysqlGateway(t, server)
        const wire = await openMysqlWire(t, gateway)
        await wire.takePacket()
        wire.socket.end(bytes)
        assert.match((await wire.rest()).subarray(4).toString('latin1'), answer)
        assert.equal(decisions.length, 0)
        assert.equal(await tryMysql(gateway), undefined)
      })
    }

    const attributes = 0x100000
    const database = flags.connectWithDatabase
    const usual = flags.usual | flags.ssl
    const responses: Record<string, Buffer> = {
      'a second request for TLS': packets.sslRequest(2),
      'a user that is no UTF-8': packets.response({ user: Buffer.from([0x61, 0xff]) }),
      'a user that is not in ASCII, in a session of latin1': packets.response({ user: 'Zoë', charset: 8 }),
      'a database without end': packet(
        2,
        packets.response({ capabilities: usual | database, rest: 'x' }).subarray(4, -23),
      ),
      'attributes that are longer than the packet': packet(
        2,
        packets.response({ capabilities: usual | attributes }).subarray(4),
        Buffer.from([0xfc, 255, 255, 1]),
      ),
      'attributes of an impossible length': packet(
        2,
        packets.response({ capabilities: usual | attributes }).subarray(4),
        Buffer.from([0xfe, 255, 255, 255, 255, 255, 255, 255, 255]),
      ),
      'a packet larger than any': Buffer.concat([Buffer.from([1, 0, 2, 2]), Buffer.alloc(131_073)]),
    }
    for (const [what, bytes] of Object.entries(responses)) {
      it(`over TLS: ${what}`, async t => {
        const { gateway, decisions } = await openMysqlGateway(t, server)
        const wire = await openMysqlTls(t, gateway)
        wire.socket.write(bytes)
        assert.match((await wire.takePacket()).body.toString('latin1'), bad)
        assert.equal(decisions.length, 0)
        assert.equal(await tryMysql(gateway), undefined)
      })
    }

    it('in place of the token', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const token = await signToken(gateway)
      for (const bytes of [packets.token(token, 0), packets.query('SELECT 1'), packets.changeUser('app')]) {
        const wire = await openMysqlTls(t, gateway)
        wire.socket.write(packets.response())
        await wire.takePacket()
        wire.socket.write(bytes)
        assert.match((await wire.takePacket()).body.toString('latin1'), bad)
      }
      assert.equal(decisions.length, 0)
    })

    it('and a user without a name, whatever the token', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const wire = await openMysqlTls(t, gateway)
      wire.socket.write(packets.response({ user: '' }))
      assert.equal(parseError((await wire.takePacket()).body).errno, 1045)
    })

    it('and a connection that is reset at each stage', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      for (const bytes of [Buffer.of(0), packets.sslRequest().subarray(0, 9), packets.sslRequest()]) {
        const wire = await openMysqlWire(t, gateway)
        wire.socket.write(bytes)
        wire.socket.resetAndDestroy()
      }
      const wire = await openMysqlTls(t, gateway)
      wire.socket.write(Buffer.concat([packets.response(), packets.token(await signToken(gateway))]))
      wire.socket.destroy()
      assert.equal(await tryMysql(gateway), undefined)
    })
  })

  it('closes a client that does not finish its handshake, at whatever stage it stops', async t => {
    const { gateway } = await openMysqlGateway(t, server, { handshakeTimeoutMs: 1000 })
    const silent = await openMysqlWire(t, gateway)
    const halfway = await openMysqlWire(t, gateway)
    halfway.socket.write(packets.sslRequest())
    const encrypted = await openMysqlTls(t, gateway)
    encrypted.socket.write(packets.response())
    const refused = await openMysqlTls(t, gateway)
    refused.socket.allowHalfOpen = true
    refused.socket.write(Buffer.concat([packets.response(), packets.token('wrong')]))
    for (const wire of [silent, halfway, encrypted, refused]) await wire.rest()
    await waitUntil(async () => gateway.stats().open === 0)
    // A session that was reached stays, however long it is idle.
    const connection = await connectMysql(gateway)
    await connection.query('SELECT SLEEP(1.1)')
    await connection.end()
  })

  const client = findOnPath('mariadb')
  it('lets the command-line client in', { skip: client === undefined && 'no mariadb on PATH' }, async t => {
    const { gateway } = await openMysqlGateway(t, server)
    const folder = mkdtempSync(join(tmpdir(), 'rds-iam-gateway-test-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const ca = join(folder, 'ca.pem')
    writeFileSync(ca, gateway.ca)
    const run = async (password: string) => {
      const address = ['--host=localhost', '--protocol=tcp', `--port=${gateway.port}`, '--user=app']
      const security = [`--ssl-ca=${ca}`, '--ssl-verify-server-cert', '--enable-cleartext-plugin']
      const output = [
        '--skip-column-names',
        '--batch',
        '--execute=SELECT CURRENT_USER(), DATABASE()',
        'orders',
      ]
      const args = ['--no-defaults', ...address, ...security, ...output]
      return promisify(execFile)(client ?? '', args, { env: { ...process.env, MYSQL_PWD: password } })
    }
    // It says of the option that this version needs it no longer.
    assert.match((await run(await signToken(gateway))).stdout, /^app@%\torders$/m)
    await assert.rejects(run('wrong'), /ERROR 1045 \(28000\): Access denied for user 'app'@'127.0.0.1'/)
  })
})
