import assert from 'node:assert/strict'
import { constants, createHash, generateKeyPairSync, privateDecrypt } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { createMysqlPool, RdsIamError } from '../../../src/mysql2.ts'
import { PeerGone } from '../../src/wire/bytes.ts'
import { readPacket } from '../../src/wire/mysql-packets.ts'
import {
  connectMysql,
  describeMysql,
  openMysqlGateway,
  openMysqlTls,
  openMysqlWire,
  packet,
  packets,
  queryRow,
  tryMysql,
  waitUntil,
} from './mysql-support.ts'
import { region, type Scope, signToken, standIn } from './support.ts'

const firstSalt = Buffer.from('abcdefghijklmnopqrst')
const down = 'Server shutdown in progress'

await describeMysql({ after }, server => {
  describe('what the server says during its login', () => {
    it('reaches the client in its own words, and the token counts as accepted', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const error = await tryMysql(gateway, { database: 'nowhere' })
      assert.equal(error?.code, 'ER_BAD_DB_ERROR')
      assert.equal(error?.message, "Unknown database 'nowhere'")
      assert.equal(decisions[0]?.verdict, 'admitted')
      assert.match(
        decisions[0]?.detail ?? '',
        /the upstream then refused the session: 1049 42000 "Unknown database 'nowhere'"/,
      )
    })

    it('does so for too many connections, which it says before it is asked', async t => {
      await server.query('SET GLOBAL max_connections = 10')
      t.after(() => server.query('SET GLOBAL max_connections = 300'))
      const { gateway, decisions } = await openMysqlGateway(t, server)
      const attempts = await Promise.allSettled(Array.from({ length: 16 }, () => connectMysql(gateway)))
      const errors = attempts.flatMap(attempt => (attempt.status === 'rejected' ? [attempt.reason] : []))
      for (const error of errors) {
        assert.equal(error.code, 'ER_CON_COUNT_ERROR')
        assert.equal(error.sqlState, '08004')
        assert.equal(error.message, 'Too many connections')
      }
      assert.ok(errors.length >= 5)
      assert.equal(decisions.length, 16)
      assert.ok(decisions.some(({ detail }) => /refused the session: 1040 08004 "Too many conn/.test(detail)))
      for (const attempt of attempts) if (attempt.status === 'fulfilled') await attempt.value.end()
      await waitUntil(async () => gateway.stats().open === 0)
    })
  })

  describe('a server that asks for a password', () => {
    it('gets it, at the login and for another user within the session', async t => {
      await server.query("CREATE USER 'with'@'%' IDENTIFIED BY 'pá§s wörd'")
      t.after(() => server.query("DROP USER 'with'@'%'"))
      const passwords = (user: string) => (user === 'with' ? 'pá§s wörd' : undefined)
      const upstream = { port: server.port, password: passwords }
      const { gateway } = await openMysqlGateway(t, server, { upstream })
      let user = 'with'
      const options = { database: undefined as never }
      const token = () => signToken(gateway, { username: user })
      const connection = await connectMysql(gateway, { ...options, user }, token)
      for (user of ['with', 'app', 'with']) {
        await connection.changeUser({ user, database: '' })
        assert.equal((await queryRow(connection, 'SELECT CURRENT_USER() AS user'))?.user, `${user}@%`)
      }
      await connection.end()
    })

    it('is said to have refused the gateway where the password is wrong or missing, or there is no such user', async t => {
      await server.query("CREATE USER 'wrong'@'%' IDENTIFIED BY 'right'")
      t.after(() => server.query("DROP USER 'wrong'@'%'"))
      for (const [user, password, remedy] of [
        [
          'wrong',
          'wrong-secret',
          /check that the user is there, and the password that the gateway has in RDS_IAM_GATEWAY_/,
        ],
        [
          'wrong',
          undefined,
          /check that the user is there, and give the gateway the password in RDS_IAM_GATEWAY_/,
        ],
        ['nobody', undefined, /check that the user is there/],
      ] as const) {
        const upstream = { port: server.port, password }
        const { gateway, decisions } = await openMysqlGateway(t, server, { upstream })
        const error = await tryMysql(gateway, { user })
        assert.equal(error?.code, 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE')
        const begin = `The gateway took the token of "${user}", and the server behind it then refused the login: Access denied `
        assert.ok(error?.message.startsWith(begin), error?.message)
        assert.match(error?.message ?? '', remedy)
        assert.equal(decisions[0]?.verdict, 'refused')
        assert.equal(decisions[0]?.reason, 'InternalError')
        assert.ok(decisions[0]?.detail.endsWith(error?.message ?? '-'))
        assert.ok(!JSON.stringify(decisions).includes('wrong-secret'))
      }
    })

    it('refuses the gateway within a session, too', async t => {
      const { gateway, decisions } = await openMysqlGateway(t, server)
      let user = 'app'
      const token = () => signToken(gateway, { username: user })
      const connection = await connectMysql(gateway, {}, token)
      user = 'nobody'
      await assert.rejects(connection.changeUser({ user, database: '' }), {
        code: 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE',
      })
      assert.equal(decisions[1]?.reason, 'InternalError')
    })

    it('makes no function look at its policy, or try again', async t => {
      const { gateway } = await openMysqlGateway(t, server)
      const pool = createMysqlPool({
        host: 'localhost',
        port: gateway.port,
        user: 'nobody',
        region,
        credentials: standIn,
        tls: { ca: gateway.ca },
      })
      t.after(() => pool.end())
      await assert.rejects(pool.query('select 1'), error => {
        assert.ok(error instanceof RdsIamError)
        assert.equal(error.code, 'RDS_IAM_DATABASE')
        assert.match(error.message, /the server behind it then refused the login: Access denied/)
        assert.doesNotMatch(error.message, /policy|rds-db:connect|IAM auth/)
        return true
      })
      assert.equal(gateway.stats().connections, 1)
    })

    it('is not asked where the password cannot be found', async t => {
      const password = (): string => {
        throw new Error('no vault today')
      }
      const { gateway, decisions } = await openMysqlGateway(t, server, {
        upstream: { port: server.port, password },
      })
      assert.equal((await tryMysql(gateway))?.errno, 1053)
      assert.match(decisions[0]?.detail ?? '', /no vault today/)
    })
  })
})

describe('where the server cannot be reached', () => {
  it('says so once the client has authenticated, and logs the true reason', async t => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as { port: number }
    nobody.close()
    const { gateway, decisions } = await openMysqlGateway(t, { port })
    const error = await tryMysql(gateway)
    assert.equal(error?.code, 'ER_SERVER_SHUTDOWN')
    assert.equal(error?.message, down)
    assert.equal(decisions[0]?.verdict, 'refused')
    assert.equal(decisions[0]?.reason, 'InternalError')
    assert.match(decisions[0]?.detail ?? '', /ECONNREFUSED/)
    assert.equal((await tryMysql(gateway, {}, 'wrong'))?.errno, 1045)
    assert.equal(decisions[1]?.reason, 'InvalidToken')
  })

  const servers: Record<string, (socket: Socket) => void> = {
    'closes at once': socket => socket.end(),
    'speaks another protocol': socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'sends half a greeting': socket => socket.end(greeting('mysql_native_password').subarray(0, 30)),
    'greets in another version': socket => socket.write(packet(0, Buffer.from([9]), 'x\0')),
    'is of before MySQL 5.5': socket => socket.write(greeting('mysql_native_password', 0x8200)),
    'greets without end': socket => socket.write(Buffer.from([255, 255, 255, 0, 10])),
    'says nothing': () => {},
    'greets and closes': socket => socket.end(greeting('mysql_native_password')),
    'greets and says nothing more': socket => socket.write(greeting('mysql_native_password')),
    'sends nonsense in its login': async socket => {
      socket.write(greeting('mysql_native_password'))
      await readPacket(socket)
      socket.write(packet(2, Buffer.from([0x42])))
    },
    'goes on with a plugin that has said all': async socket => {
      socket.write(greeting('mysql_native_password'))
      await readPacket(socket)
      socket.write(packet(2, Buffer.from([1, 4])))
    },
    'sends a key that is none': async socket => {
      socket.write(greeting('caching_sha2_password'))
      await readPacket(socket)
      socket.write(packet(2, Buffer.from([1]), 'no key'))
    },
  }
  for (const [what, behave] of Object.entries(servers)) {
    it(`likewise where it ${what}`, async t => {
      const port = await listen(t, behave)
      const { gateway, decisions } = await openMysqlGateway(t, { port }, { handshakeTimeoutMs: 2000 })
      const error = await tryMysql(gateway)
      assert.equal(error?.message, down)
      assert.equal(decisions.length, 1)
      assert.equal(decisions[0]?.reason, 'InternalError')
      await waitUntil(async () => gateway.stats().open === 0)
    })
  }

  it('names the plugin that the gateway does not have', async t => {
    for (const [first, switched, plugin] of [
      ['dialog', undefined, 'dialog'],
      ['mysql_native_password', 'auth_gssapi_client\0', 'auth_gssapi_client'],
      ['mysql_native_password', '', 'mysql_old_password'],
    ] as const) {
      const port = await listen(t, async socket => {
        socket.write(greeting(first))
        await readPacket(socket)
        socket.write(packet(2, Buffer.from([0xfe]), switched ?? ''))
      })
      const { gateway, decisions } = await openMysqlGateway(t, { port })
      const error = await tryMysql(gateway)
      assert.equal(error?.errno, 1429)
      assert.ok(error?.message.includes(`wants the authentication plugin "${plugin}", which`), error?.message)
      assert.equal(decisions[0]?.reason, 'InternalError')
    }
  })

  it('says so where the server takes nobody from the gateway’s address', async t => {
    const words = "Host '10.0.0.7' is not allowed to connect to this server"
    const port = await listen(t, socket => socket.write(packet(0, Buffer.from([0xff, 0x6a, 0x04]), words)))
    const { gateway, decisions } = await openMysqlGateway(t, { port })
    const error = await tryMysql(gateway)
    assert.equal(error?.errno, 1429)
    assert.equal(error?.message, `The server behind the gateway: ${words}`)
    assert.equal(decisions[0]?.reason, 'InternalError')
  })

  it('ends a login that hangs when the client leaves', async t => {
    let left = (): void => {}
    const seen = new Promise<void>(resolve => (left = resolve))
    let reached = (): void => {}
    const asked = new Promise<void>(resolve => (reached = resolve))
    const port = await listen(t, async socket => {
      socket.once('close', left)
      socket.write(greeting('mysql_native_password'))
      await readPacket(socket)
      reached()
    })
    const { gateway, decisions } = await openMysqlGateway(t, { port }, { handshakeTimeoutMs: 2 ** 31 - 1 })
    const wire = await openMysqlTls(t, gateway)
    wire.socket.write(Buffer.concat([packets.response(), packets.token(await signToken(gateway))]))
    await asked
    wire.socket.destroy()
    await seen
    await waitUntil(async () => decisions.length === 1)
    assert.equal(decisions[0]?.reason, 'InternalError')
  })

  it('gives up in time for the client still to be told', async t => {
    const { gateway, decisions } = await openMysqlGateway(
      t,
      { port: await listen(t, () => {}) },
      { handshakeTimeoutMs: 2000 },
    )
    assert.equal((await tryMysql(gateway))?.errno, 1053)
    assert.match(decisions[0]?.detail ?? '', /the upstream did not greet in time/)
  })

  it('does not wait for a client that was told and stays', async t => {
    const port = await listen(t, socket => socket.write(greeting('mysql_native_password')))
    const { gateway, decisions } = await openMysqlGateway(t, { port }, { handshakeTimeoutMs: 1000 })
    const wire = await openMysqlTls(t, gateway)
    wire.socket.allowHalfOpen = true
    wire.socket.write(Buffer.concat([packets.response(), packets.token(await signToken(gateway))]))
    await wire.rest()
    await waitUntil(async () => gateway.stats().open === 0)
    assert.match(decisions[0]?.detail ?? '', /the upstream did not answer within the handshake timeout/)
  })

  it('does not keep its connection for a client that is refused and stays', async t => {
    let left = (): void => {}
    const seen = new Promise<void>(resolve => (left = resolve))
    const port = await listen(t, socket => {
      socket.once('close', left)
      socket.write(greeting('mysql_native_password'))
    })
    const { gateway } = await openMysqlGateway(t, { port }, { handshakeTimeoutMs: 2 ** 31 - 1 })
    const wire = await openMysqlTls(t, gateway)
    wire.socket.allowHalfOpen = true
    wire.socket.write(Buffer.concat([packets.response(), packets.token('wrong')]))
    await seen
  })
})

it('does not pass the server’s salt on, which answers to the gateway’s password', async t => {
  const port = await listen(t, socket => socket.write(greeting('mysql_native_password')))
  const { gateway } = await openMysqlGateway(t, { port })
  const { body } = await (await openMysqlWire(t, gateway)).takePacket()
  assert.match(body.toString('latin1'), /8\.4\.0.*mysql_native_password/s)
  for (const part of [firstSalt.subarray(0, 8), firstSalt.subarray(8)]) assert.ok(!body.includes(part))
})

/** No such server is at hand everywhere: this one does as MySQL 8 documents it. */
describe('a server that asks by caching_sha2_password', () => {
  const password = 'pá§s wörd'
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })

  async function open(t: Scope, given: string | undefined, cached: boolean, switched: boolean) {
    const answers: Buffer[] = []
    const port = await listen(t, async socket => {
      socket.write(greeting(switched ? 'mysql_native_password' : 'caching_sha2_password'))
      let { sequence, body } = await readPacket(socket)
      const say = (...parts: (Buffer | string)[]) => {
        sequence += 1
        socket.write(packet(sequence, ...parts))
      }
      const hear = async () => {
        ;({ sequence, body } = await readPacket(socket))
        return body
      }
      let salt = firstSalt
      if (switched) {
        salt = Buffer.from('another salt of 20 b')
        say(Buffer.from([0xfe]), 'caching_sha2_password\0', salt, '\0')
        answers.push(await hear())
      } else {
        const user = body.indexOf(0, 32) + 1
        answers.push(body.subarray(user + 1, user + 1 + (body[user] ?? 0)))
      }
      if (given !== undefined && cached) say(Buffer.from([1, 3]))
      if (given !== undefined && !cached) {
        say(Buffer.from([1, 4]))
        answers.push(await hear())
        say(Buffer.from([1]), publicKey)
        const padding = constants.RSA_PKCS1_OAEP_PADDING
        const masked = privateDecrypt({ key: privateKey, padding }, await hear())
        answers.push(Buffer.from(masked.map((byte, at) => byte ^ (salt[at % 20] ?? 0))))
      }
      say(Buffer.from([0, 0, 0, 2, 0, 0, 0]))
    })
    const { gateway, decisions } = await openMysqlGateway(
      t,
      { port },
      { upstream: { port, password: given } },
    )
    const connection = await connectMysql(gateway, { database: undefined as never })
    assert.equal(decisions[0]?.verdict, 'admitted')
    connection.destroy()
    return answers
  }

  const sha256 = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

  for (const switched of [false, true]) {
    const how = switched ? 'after a switch' : 'at once'
    it(`gets a hash that it finds in its cache, ${how}`, async t => {
      const [answer = Buffer.alloc(0)] = await open(t, password, true, switched)
      // As the server checks it: from what it has in its cache to the hash of the password.
      const stored = sha256(sha256(Buffer.from(password)))
      const salt = switched ? Buffer.from('another salt of 20 b') : firstSalt
      const mask = sha256(stored, salt)
      assert.deepEqual(sha256(Buffer.from(answer.map((byte, at) => byte ^ (mask[at] ?? 0)))), stored)
    })

    it(`gets the password encrypted where it has nothing in its cache, ${how}`, async t => {
      const answers = await open(t, password, false, switched)
      assert.deepEqual(answers[1], Buffer.from([2]))
      assert.deepEqual(answers[2], Buffer.from(`${password}\0`))
    })

    it(`gets nothing where there is no password, ${how}`, async t => {
      assert.deepEqual(await open(t, undefined, false, switched), [Buffer.alloc(0)])
    })
  }
})

/** As a server sends it. */
function greeting(plugin: string, capabilities = 0xffffff): Buffer {
  const head = Buffer.from([10, ...Buffer.from('8.4.0\0'), 7, 0, 0, 0])
  const low = Buffer.from([capabilities & 0xff, (capabilities >> 8) & 0xff, 45, 2, 0])
  const high = Buffer.from([(capabilities >> 16) & 0xff, capabilities >>> 24, 21])
  const salt = [firstSalt.subarray(0, 8), Buffer.alloc(1)]
  const rest = [Buffer.alloc(10), firstSalt.subarray(8), Buffer.alloc(1), `${plugin}\0`]
  return packet(0, head, ...salt, low, high, ...rest)
}

/** A server that behaves so as soon as somebody connects. */
async function listen(scope: Scope, behave: (socket: Socket) => unknown): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    scope.after(() => socket.destroy())
    Promise.resolve(behave(socket)).catch(error => assert.ok(error instanceof PeerGone, error))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.after(() => server.close())
  return (server.address() as { port: number }).port
}
