import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { after, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type mysql from 'mysql2/promise'
import {
  connectMysql,
  describeMysql,
  openMysqlGateway,
  openMysqlSession,
  packet,
  packets,
  parseError,
  queryRow,
  waitUntil,
} from './mysql-support.ts'
import { startRelay } from './relay.ts'
import { signToken } from './support.ts'

await describeMysql({ after }, (server, isLast) => {
  const isOpen = async (id: number | undefined) =>
    (await server.query(`SELECT 1 FROM information_schema.processlist WHERE id = ${id}`)).length > 0

  describe('a session', () => {
    it('ends at the server with the client, also when that is cut off', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const ended = await connectMysql(gateway)
      assert.equal(await isOpen(ended.threadId), true)
      await ended.end()
      await waitUntil(async () => !(await isOpen(ended.threadId)))
      const cut = await connectMysql(gateway)
      cut.destroy()
      await waitUntil(async () => !(await isOpen(cut.threadId)))
      await waitUntil(async () => gateway.stats().open === 0)
    })

    it('is that of the user whom the token names, and of none whose name the server cuts off', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const quoted = await connectMysql(gateway, { user: "'app'" }).catch(() => undefined)
      const whoQuoted = quoted && (await queryRow(quoted, 'SELECT current_user() AS who'))
      await quoted?.end()
      assert.equal(whoQuoted, undefined)
      const session = await connectMysql(gateway)
      await assert.rejects(session.changeUser({ user: "'App'" }), { errno: 1045 })
      session.destroy()
      const longest = server.kind === 'mariadb' ? 80 : server.version.startsWith('5.6') ? 16 : 32
      for (const length of [longest, 128]) {
        const short = 'x'.repeat(length)
        const made = await server.query(`CREATE USER '${short}'@'%'`).catch(() => undefined)
        if (made === undefined) continue
        const own = await connectMysql(gateway, { user: short, database: '' })
        await own.end()
        const longer = await connectMysql(gateway, { user: `${short}y`, database: '' }).catch(() => undefined)
        const who = longer && (await queryRow(longer, 'SELECT current_user() AS who'))
        await longer?.end()
        assert.notEqual(who?.who, `${short}@%`)
      }
    })

    it('ends at the server when the client’s connection breaks', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const relay = await startRelay(t, gateway)
      const connection = await connectMysql(gateway, { port: relay.port })
      relay.reset()
      await waitUntil(async () => !(await isOpen(connection.threadId)))
      await waitUntil(async () => gateway.stats().open === 0)
    })

    it('ends at the client when the server ends it', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway)
      const { stream } = (connection as unknown as { connection: { stream: Socket } }).connection
      const closed = once(stream, 'close')
      await server.query(`KILL ${connection.threadId}`)
      await closed
    })

    it('has prepared statements, several statements in one and several results', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway, { multipleStatements: true })
      const [rows] = await connection.execute('SELECT ? + 1 AS sum, ? AS text', [41, 'ünï'])
      assert.deepEqual(rows, [{ sum: 42, text: 'ünï' }])
      const [results] = await connection.query('SELECT 1 AS one; SELECT 2 AS two; DO 1')
      assert.deepEqual((results as unknown[]).slice(0, 2), [[{ one: 1 }], [{ two: 2 }]])
      await connection.query('DROP PROCEDURE IF EXISTS both_results')
      await connection.query('CREATE PROCEDURE both_results() BEGIN SELECT 1 AS one; SELECT 2 AS two; END')
      const [called] = await connection.query('CALL both_results()')
      assert.equal((called as unknown[]).length, 3)
      await connection.end()
    })

    it('loads data from the client', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway)
      await connection.query('CREATE TEMPORARY TABLE loaded (id INT, text TEXT)')
      // Each is a packet of its own, so that their numbers begin again many times.
      const lines = Array.from({ length: 20_000 }, (_, id) => Buffer.from(`${id}\t${'x'.repeat(100)}\n`))
      await connection.query({
        sql: "LOAD DATA LOCAL INFILE 'none' INTO TABLE loaded",
        infileStreamFactory: () => Readable.from(lines),
      } as never)
      assert.deepEqual(await queryRow(connection, 'SELECT COUNT(*) AS n, SUM(id) AS sum FROM loaded'), {
        n: 20_000,
        sum: '199990000',
      })
      await connection.end()
    })

    it('is not compressed, also where the client would like that', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway, { compress: true } as mysql.ConnectionOptions)
      assert.deepEqual(await queryRow(connection, 'SELECT 1 AS one'), { one: 1 })
      await connection.end()
    })
  })

  // What the server has no part in: how much there is, and how it is cut.
  if (isLast)
    describe('many bytes and many clients', () => {
      it('carries packets of over 16 MB, which are split, in both directions', async t => {
        const { gateway } = await openMysqlGateway(t, server)
        const connection = await connectMysql(gateway)
        // The byte that COM_CHANGE_USER begins with, also where a packet is continued.
        for (const size of [0xffffff - 40, 0xffffff, 0xffffff + 1, 40_000_000]) {
          const blob = Buffer.alloc(size, 0x11)
          const row = await queryRow(connection, 'SELECT ? AS data', [blob])
          assert.equal(sha1(row?.data as Buffer), sha1(blob))
        }
        await connection.end()
      })

      it('carries packets that end exactly where the next one begins', async t => {
        const { gateway } = await openMysqlGateway(t, server)
        const wire = await openMysqlSession(t, gateway)
        // A command of exactly the greatest length is followed by an empty packet.
        const sql = Buffer.alloc(0xffffff, 'x')
        sql.write("\x03SELECT 'whole' -- ")
        wire.socket.write(Buffer.concat([packet(0, sql), packet(1)]))
        await wire.takePacket()
        assert.match((await wire.takePacket()).body.toString(), /whole/)
      })

      it('passes 100 MB each way while the gateway keeps none of it', async t => {
        const { gateway } = await openMysqlGateway(t, server)
        const wire = await openMysqlSession(t, gateway)
        wire.socket.removeAllListeners('data')
        const ten = '(SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)'
        const rows = `${ten} a JOIN ${ten} b JOIN ${ten} c JOIN (SELECT 1 UNION ALL SELECT 2) d JOIN (SELECT 1 UNION ALL SELECT 2) e`
        const before = measureKept()
        let received = 0
        let peak = 0
        const all = new Promise<void>(resolve =>
          wire.socket.on('data', chunk => {
            if (Math.floor(received / 1e7) < Math.floor((received + chunk.length) / 1e7))
              peak = Math.max(peak, measureKept() - before)
            received += chunk.length
            if (received > 100_000_000) resolve()
          }),
        )
        wire.socket.write(packets.query(`SELECT REPEAT('x', 200001) FROM ${rows}`))
        await all
        assert.ok(peak < 30_000_000, `grew by ${Math.round(peak / 1e6)} MB`)

        const connection = await connectMysql(gateway)
        const megabyte = 'y'.repeat(1_000_000)
        peak = 0
        for (let sent = 0; sent < 100; sent += 1) {
          await connection.query('SELECT LENGTH(?)', [megabyte])
          if (sent % 10 === 0) peak = Math.max(peak, measureKept() - before)
        }
        assert.ok(peak < 30_000_000, `grew by ${Math.round(peak / 1e6)} MB`)
        await connection.end()
      })

      it('makes a client wait for a server that does not read', async t => {
        const { gateway } = await openMysqlGateway(t, server)
        const wire = await openMysqlSession(t, gateway)
        wire.socket.write(packets.query('SELECT SLEEP(60)'))
        let written = 0
        const megabyte = packets.query(`SELECT '${'x'.repeat(1_000_000)}'`)
        for (let sent = 0; sent < 100; sent += 1) {
          wire.socket.write(megabyte, () => {
            written += megabyte.length
          })
        }
        for (let turns = 0; turns < 2000; turns += 1) await turn()
        // What the kernel keeps between them, and no more.
        assert.ok(written < 50_000_000, `took ${written}`)
      })

      it('makes the server wait for a client that does not read', async t => {
        const { gateway } = await openMysqlGateway(t, server)
        const wire = await openMysqlSession(t, gateway)
        const watcher = await connectMysql(gateway, { user: 'App' })
        const stuck = async () =>
          (await queryRow(
            watcher,
            // MariaDB and MySQL have a word of their own for it.
            "SELECT 1 FROM information_schema.processlist WHERE user = 'app' AND state IN ('Writing to net', 'Sending to client')",
          )) !== undefined
        wire.socket.removeAllListeners('data').pause()
        const before = measureKept()
        wire.socket.write(packets.query(`SELECT REPEAT('x', 100000000)`))
        await waitUntil(stuck)
        for (let turns = 0; turns < 1000; turns += 1) await turn()
        assert.equal(await stuck(), true)
        const kept = measureKept() - before
        assert.ok(kept < 30_000_000, `keeps ${Math.round(kept / 1e6)} MB`)
        await watcher.end()
        let received = 0
        for await (const chunk of wire.socket) {
          received += chunk.length
          if (received > 100_000_000) break
        }
        assert.ok(received > 100_000_000)
      })

      it('serves 200 clients at once, each with a session of its own', async t => {
        // Time enough for all of them, however busy the machine is.
        const { gateway } = await openMysqlGateway(t, server, { handshakeTimeoutMs: 60_000 })
        const connections = await Promise.all(
          Array.from({ length: 200 }, () => connectMysql(gateway, { connectTimeout: 60_000 })),
        )
        assert.equal(gateway.stats().open, 200)
        const rows = await Promise.all(
          connections.map(connection => queryRow(connection, 'SELECT CONNECTION_ID() AS id')),
        )
        assert.equal(new Set(rows.map(row => row?.id)).size, 200)
        await Promise.all(connections.map(connection => connection.end()))
        await waitUntil(async () => gateway.stats().open === 0)
      })
    })

  describe('another user within a session', () => {
    it('needs a token, and the session goes on', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      let user = 'app'
      const connection = await connectMysql(gateway, {}, () => signToken(gateway, { username: user }))
      const { threadId } = connection
      for (const [next, database] of [
        ['App', 'other'],
        ['Zoë', 'orders'],
        ['Zoë', 'orders'],
        ['app', 'other'],
      ] as const) {
        user = next
        await connection.changeUser({ user, database })
        assert.deepEqual(
          await queryRow(
            connection,
            'SELECT CURRENT_USER() AS user, DATABASE() AS db, CONNECTION_ID() AS id',
          ),
          { user: `${user}@%`, db: database, id: threadId },
        )
        assert.equal(decisions.at(-1)?.verdict, 'admitted')
        assert.equal(decisions.at(-1)?.user, user)
        assert.equal(decisions.at(-1)?.database, database)
      }
      assert.equal(decisions.length, 5)
      await connection.query('SELECT ?', ['x'.repeat(20_000_000)])
      await connection.end()
      await waitUntil(async () => !(await isOpen(threadId)))
    })

    it('is refused with another user’s token, and the session is over', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway, {}, () => signToken(gateway))
      await assert.rejects(connection.changeUser({ user: 'root' }), {
        errno: 1045,
        message: "Access denied for user 'root'@'127.0.0.1' (using password: YES)",
      })
      assert.equal(decisions[1]?.reason, 'InvalidToken')
      await waitUntil(async () => gateway.stats().open === 0)
      await waitUntil(async () => !(await isOpen(connection.threadId)))
    })

    it('is refused, and the session is over, also where the client stays', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const wire = await openMysqlSession(t, gateway)
      wire.socket.allowHalfOpen = true
      wire.socket.write(Buffer.concat([packets.changeUser('root'), packets.token('wrong', 2)]))
      await wire.takePacket()
      assert.equal(parseError((await wire.takePacket()).body).errno, 1045)
      await waitUntil(async () => gateway.stats().open === 0)
    })

    it('gets the server’s own words where that refuses', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const connection = await connectMysql(gateway)
      await assert.rejects(connection.changeUser({ user: 'app', database: 'nowhere' }), { errno: 1049 })
      assert.equal(decisions[1]?.verdict, 'admitted')
      assert.match(decisions[1]?.detail ?? '', /the upstream then refused the session: 1049 42000/)
    })

    it('is noticed however the bytes come', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const change = packets.changeUser('root')
      const before = packets.query('DO 1')
      const pieces: Record<string, Buffer[]> = {
        'one by one': [...change].map(byte => Buffer.of(byte)),
        'a header, and the rest': [change.subarray(0, 4), change.subarray(4)],
        'behind a command': [Buffer.concat([before, change])],
        'its first byte behind a command': [
          Buffer.concat([before, change.subarray(0, 1)]),
          change.subarray(1),
        ],
        'behind an empty packet': [Buffer.concat([packet(0), change])],
      }
      for (const [what, chunks] of Object.entries(pieces)) {
        const wire = await openMysqlSession(t, gateway)
        for (const chunk of chunks) {
          wire.socket.write(chunk)
          await turn()
        }
        // It asks for a token instead of passing the command on, and refuses another user's.
        let packetSeen = await wire.takePacket()
        while (!packetSeen.body.includes('mysql_clear_password')) packetSeen = await wire.takePacket()
        wire.socket.write(packets.token(await signToken(gateway), 2))
        assert.equal(parseError((await wire.takePacket()).body).errno, 1045, what)
        assert.equal(decisions.at(-1)?.user, 'root', what)
      }
    })

    it('under another number than a command’s is nothing that the server takes', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      for (const sequence of [1, 2, 255]) {
        const wire = await openMysqlSession(t, gateway)
        wire.socket.write(packets.changeUser('root', sequence))
        const rest = await wire.rest()
        assert.ok(rest.length === 0 || rest[4] === 0xff, rest.toString())
      }
    })

    it('is refused where the bytes make no sense', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const whole = packets.changeUser('app').subarray(4)
      const bodies = [
        Buffer.from('\x11'),
        Buffer.from('\x11app'),
        whole.subarray(0, 8),
        Buffer.concat([Buffer.from('\x11app\0\xff', 'latin1'), Buffer.alloc(5)]),
        Buffer.from([0x11, 0xc3, 0, 0, 0, 8, 0, 0]),
      ]
      for (const body of bodies) {
        const wire = await openMysqlSession(t, gateway)
        wire.socket.write(packet(0, body))
        assert.equal(parseError((await wire.takePacket()).body).errno, 1043, body.toString())
        await wire.rest()
      }
      const wire = await openMysqlSession(t, gateway)
      wire.socket.write(Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0, 0x11]), Buffer.alloc(1000, 0x61)]))
      assert.equal(parseError((await wire.takePacket()).body).errno, 1043)
    })
  })
})

function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}

/** Memory outside of JavaScript's heap, where buffers are, and in it, without what is garbage by now. */
function measureKept(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}
