import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createPgPool, RdsIamError } from '../../../src/pg.ts'
import { startRelay } from './relay.ts'
import {
  makeClient,
  openGateway,
  openNegotiatedTls,
  openPostgres,
  packets,
  parseMessages,
  region,
  type Scope,
  signToken,
  standIn,
  tryConnect,
} from './support.ts'

const postgres = await openPostgres({ after })
const { gateway, decisions } = await openGateway({ after }, postgres)

describe('what the server says during its login', () => {
  it('reaches the client in its own words, and the token counts as accepted', async () => {
    const error = await tryConnect(makeClient(gateway, undefined, { database: 'nowhere' }))
    assert.equal(error?.code, '3D000')
    assert.equal(error?.message, 'database "nowhere" does not exist')
    assert.equal(error?.file, 'postinit.c')
    const decision = decisions.at(-1)
    assert.equal(decision?.verdict, 'admitted')
    assert.match(decision?.detail ?? '', /refused the session: 3D000 "database \\"nowhere\\" does not exist"/)
  })

  it('does so for too many connections', async () => {
    await postgres.query('CREATE USER lonely CONNECTION LIMIT 0')
    const password = await signToken(gateway, { username: 'lonely' })
    const error = await tryConnect(makeClient(gateway, password, { user: 'lonely' }))
    assert.equal(error?.code, '53300')
  })
})

describe('a session', () => {
  it('is one of the client’s own, and ends with it', async () => {
    const client = makeClient(gateway)
    await client.connect()
    const id = (client as unknown as { processID: number }).processID
    assert.equal(gateway.stats().open, 1)
    await client.end()
    await waitUntil(async () => (await backends(id)) === 0)
    await waitUntil(async () => gateway.stats().open === 0)
  })

  it('ends at the server when the client is cut off', async () => {
    const client = makeClient(gateway)
    await client.connect()
    const { processID, connection } = client as unknown as {
      processID: number
      connection: { stream: Socket }
    }
    connection.stream.destroy()
    await waitUntil(async () => (await backends(processID)) === 0)
  })

  it('ends at the server when the client’s connection breaks', async t => {
    const relay = await startRelay(t, gateway)
    const client = makeClient(gateway, undefined, { port: relay.port })
    await client.connect()
    const { processID } = client as unknown as { processID: number }
    relay.reset()
    await waitUntil(async () => (await backends(processID)) === 0)
    assert.equal(gateway.stats().open, 0)
  })

  it('keeps all that the server said before it ended, for a client that reads late', async t => {
    const size = 8_000_000
    const port = await listen(t, socket => {
      socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]))
      socket.end(Buffer.alloc(size, 'z'))
    })
    const { gateway } = await openGateway(t, { port })
    const wire = await openNegotiatedTls(t, gateway)
    wire.socket.write(Buffer.concat([packets.startup(), packets.password(await signToken(gateway))]))
    await wire.take(9)
    wire.socket.pause()
    for (let turns = 0; turns < 500; turns += 1) await turn()
    wire.socket.resume()
    assert.equal((await wire.rest()).length, 15 + size)
  })

  it('ends at the client, with the server’s last words, when the server ends it', async () => {
    const client = makeClient(gateway)
    await client.connect()
    const { processID } = client as unknown as { processID: number }
    const words: string[] = []
    client.on('error', error => words.push((error as NodeJS.ErrnoException).code ?? ''))
    // Not by `once` of node:events, which an error event rejects.
    const ended = new Promise(resolve => client.once('end', resolve))
    await postgres.query(`select pg_terminate_backend(${processID})`)
    await ended
    assert.ok(words.includes('57P01'), String(words))
  })

  it('passes 100 MB each way while the gateway keeps none of it', async () => {
    const client = makeClient(gateway)
    await client.connect()
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
    const sql = `select repeat('x', 100000) from generate_series(1, 1000)`
    const before = measure()
    let peak = 0
    let received = 0
    stream.on('data', chunk => {
      received += chunk.length
      peak = Math.max(peak, measure() - before)
    })
    // Rows that nobody keeps: pg's own result would be larger than what is measured.
    await client.query({ text: sql, rowMode: 'array', types: { getTypeParser: () => () => null } } as never)
    assert.ok(received > 100_000_000)
    assert.ok(peak < 60_000_000, `grew by ${Math.round(peak / 1e6)} MB`)

    const megabyte = Buffer.alloc(1_000_000, 'y').toString()
    peak = 0
    for (let sent = 0; sent < 100; sent += 1) {
      await client.query('select length($1)', [megabyte])
      peak = Math.max(peak, measure() - before)
    }
    assert.ok(peak < 60_000_000, `grew by ${Math.round(peak / 1e6)} MB`)
    await client.end()
  })

  it('makes the server wait for a client that does not read', async t => {
    const wire = await openNegotiatedTls(t, gateway)
    wire.socket.write(Buffer.concat([packets.startup(), packets.password(await signToken(gateway))]))
    await wire.take(9 + 9)
    wire.socket.removeAllListeners('data').pause()
    const before = measure()
    wire.socket.write(packets.query(`select repeat('x', 100000) from generate_series(1, 1000)`))
    const stuck = `select 1 from pg_stat_activity where wait_event = 'ClientWrite'`
    await waitUntil(async () => (await postgres.query(stuck)).length === 1)
    assert.ok(measure() - before < 30_000_000)
    let received = 0
    for await (const chunk of wire.socket) {
      received += chunk.length
      if (received > 100_000_000) break
    }
    assert.ok(received > 100_000_000)
  })

  it('copies in both directions', async t => {
    const wire = await openNegotiatedTls(t, gateway)
    const rows = `${'row\n'.repeat(1000)}`
    const copyData = Buffer.concat([Buffer.from('d'), int32(rows.length + 4), Buffer.from(rows)])
    wire.socket.write(
      Buffer.concat([
        packets.startup(),
        packets.password(await signToken(gateway)),
        packets.query('create temp table copied (text text); copy copied from stdin'),
        copyData,
        Buffer.from([0x63, 0, 0, 0, 4]),
        packets.query('copy copied to stdout'),
        packets.terminate,
      ]),
    )
    const messages = parseMessages(await wire.rest())
    assert.equal(messages.filter(({ type }) => type === 'd').length, 1000)
  })
})

it('serves 200 clients at once, each with a session of its own', async () => {
  const clients = Array.from({ length: 200 }, () => makeClient(gateway))
  await Promise.all(clients.map(client => client.connect()))
  assert.equal(gateway.stats().open, 200)
  const results = await Promise.all(clients.map(client => client.query('select pg_backend_pid() as id')))
  assert.equal(new Set(results.map(({ rows }) => rows[0].id)).size, 200)
  await Promise.all(clients.map(client => client.end()))
  await waitUntil(async () => gateway.stats().open === 0)
})

describe('where the server cannot be reached', () => {
  const words = 'the database system is not accepting connections'

  it('says so in PostgreSQL’s words, and logs the true reason', async t => {
    const nobody = createServer().listen(0, '127.0.0.1')
    await once(nobody, 'listening')
    const { port } = nobody.address() as { port: number }
    nobody.close()
    const down = await openGateway(t, { port })
    const error = await tryConnect(makeClient(down.gateway, () => signToken(down.gateway)))
    assert.equal(error?.code, '57P03')
    assert.equal(error?.message, words)
    assert.equal(down.decisions[0]?.verdict, 'refused')
    assert.equal(down.decisions[0]?.reason, 'InternalError')
    assert.match(down.decisions[0]?.detail ?? '', /ECONNREFUSED/)
    assert.equal(down.gateway.stats().refused, 1)
  })

  it('does not ask it about a bad token', async t => {
    const down = await openGateway(t, { port: 1 })
    const error = await tryConnect(makeClient(down.gateway, 'wrong'))
    assert.equal(error?.code, '28000')
  })

  const servers: Record<string, (socket: Socket) => void> = {
    'closes at once': socket => socket.end(),
    'speaks another protocol': socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'sends a message without end': socket => socket.write(Buffer.from([0x4e, 0x7f, 255, 255, 255])),
    'goes on with SASL that it never began': socket =>
      socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 11])),
    'says nothing': () => {},
  }
  it('ends a login that hangs when the client leaves', async t => {
    let left = (): void => {}
    const seen = new Promise<void>(resolve => (left = resolve))
    let reached = (): void => {}
    const arrived = new Promise<void>(resolve => (reached = resolve))
    const port = await listen(t, socket => {
      socket.once('close', left)
      reached()
    })
    const { gateway, decisions } = await openGateway(t, { port }, { handshakeTimeoutMs: 2 ** 31 - 1 })
    const wire = await openNegotiatedTls(t, gateway)
    wire.socket.write(Buffer.concat([packets.startup(), packets.password(await signToken(gateway))]))
    await arrived
    wire.socket.destroy()
    await seen
    await waitUntil(async () => decisions.length === 1)
    assert.equal(decisions[0]?.reason, 'InternalError')
  })

  for (const [what, behave] of Object.entries(servers)) {
    it(`likewise where it ${what}`, async t => {
      const port = await listen(t, behave)
      const broken = await openGateway(t, { port }, { handshakeTimeoutMs: 2000 })
      const error = await tryConnect(makeClient(broken.gateway, () => signToken(broken.gateway)))
      assert.equal(error?.message, words)
      assert.equal(broken.decisions.length, 1)
      assert.equal(broken.decisions[0]?.reason, 'InternalError')
    })
  }
})

describe('a server that asks for a password', () => {
  const methods = ['password', 'md5', 'scram-sha-256']
  // Full-width letters, a no-break space and a soft hyphen, which SASLprep changes; a tab, which it forbids.
  const passwords = ['pá§s wörd', 'ｆｕｌｌ\u00a0so\u00adft ', 'ta\tb ｆ']

  it('gets it, whatever method it asks for', async t => {
    await requirePasswords(t)
    for (const text of passwords) {
      await setPasswords(text)
      for (const method of methods) {
        const user = `with ${method}`
        for (const password of [text, () => text]) {
          const { gateway, decisions } = await openGateway(t, postgres, {
            upstream: { port: postgres.port, password },
          })
          const client = makeClient(gateway, await signToken(gateway, { username: user }), { user })
          await client.connect()
          assert.equal((await client.query('select current_user as user')).rows[0].user, user)
          await client.end()
          assert.equal(decisions[0]?.verdict, 'admitted')
        }
      }
    }
  })

  it('is said to have refused the gateway where the password is wrong or missing', async t => {
    await requirePasswords(t)
    for (const method of methods) {
      const user = `with ${method}`
      for (const [password, remedy] of [
        [
          'wrong-secret',
          /28P01\): check that the user is there, and the password that the gateway has in RDS_/,
        ],
        [
          undefined,
          /it wants a password: check that the user is there, and give the gateway the password in RDS_/,
        ],
      ] as const) {
        const { gateway, decisions } = await openGateway(t, postgres, {
          upstream: { port: postgres.port, password },
        })
        const error = await tryConnect(
          makeClient(gateway, await signToken(gateway, { username: user }), { user }),
        )
        assert.equal(error?.code, '08004')
        assert.match(
          error?.message ?? '',
          /^The gateway took the token of "with .*", and the server behind it then refused the login: /,
        )
        assert.match(error?.message ?? '', remedy)
        assert.doesNotMatch(error?.message ?? '', /TLS/)
        assert.equal(decisions[0]?.verdict, 'refused')
        assert.equal(decisions[0]?.reason, 'InternalError')
        assert.ok(decisions[0]?.detail.endsWith(error?.message ?? '-'))
        assert.ok(!JSON.stringify(decisions).includes('wrong-secret'))
      }
    }
  })

  it('makes no function look at its policy, or try again', async t => {
    await requirePasswords(t)
    const { gateway } = await openGateway(t, postgres, {
      upstream: { port: postgres.port, password: 'wrong-secret' },
    })
    const pool = createPgPool({
      host: 'localhost',
      port: gateway.port,
      user: 'with md5',
      database: 'orders',
      region,
      credentials: standIn,
      tls: { ca: gateway.ca },
    })
    t.after(() => pool.end())
    await assert.rejects(pool.query('select 1'), error => {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_DATABASE')
      assert.match(
        error.message,
        /the server behind it then refused the login: .*RDS_IAM_GATEWAY_UPSTREAM_PASSWORD/,
      )
      assert.doesNotMatch(error.message, /policy|rds-db:connect|IAM auth/)
      return true
    })
    assert.equal(gateway.stats().connections, 1)
  })

  it('is not asked where the password cannot be found', async t => {
    await requirePasswords(t)
    const { gateway, decisions } = await openGateway(t, postgres, {
      upstream: { port: postgres.port, password: throwing },
    })
    const user = 'with md5'
    const error = await tryConnect(
      makeClient(gateway, await signToken(gateway, { username: user }), { user }),
    )
    assert.equal(error?.code, '57P03')
    assert.equal(decisions[0]?.reason, 'InternalError')
    assert.match(decisions[0]?.detail ?? '', /no vault today/)
  })

  it('may have something against the user, which the client hears in its words', async t => {
    const { gateway, decisions } = await openGateway(t, postgres)
    const error = await tryConnect(
      makeClient(gateway, await signToken(gateway, { username: 'nobody' }), { user: 'nobody' }),
    )
    assert.equal(error?.message, 'role "nobody" does not exist')
    assert.equal(decisions[0]?.verdict, 'admitted')
  })

  it('is named where it wants what the gateway does not have', async t => {
    for (const [request, method] of [
      [Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 7]), 7],
      [Buffer.concat([Buffer.from([0x52, 0, 0, 0, 19, 0, 0, 0, 10]), Buffer.from('OAUTHBEARE\0')]), 10],
    ] as const) {
      const port = await listen(t, socket => socket.write(request))
      const { gateway, decisions } = await openGateway(t, { port }, { upstream: { port, password: 'x' } })
      const error = await tryConnect(makeClient(gateway))
      assert.equal(error?.code, '08004')
      assert.match(
        error?.message ?? '',
        new RegExp(`does not have \\(method ${method}\\): it has password, md5 and`),
      )
      assert.equal(decisions[0]?.reason, 'InternalError')
    }
  })

  it('gets nobody in where it does not prove by SCRAM that it knows the password', async t => {
    const first = Buffer.from('SCRAM-SHA-256\0\0')
    const message = (code: number, text: Buffer | string) => {
      const body = Buffer.from(text as string)
      return Buffer.concat([Buffer.from('R'), int32(body.length + 8), int32(code), body])
    }
    const salted = ',s=c2FsdHNhbHRzYWx0,i=4096'
    const ok = message(0, '')
    for (const last of [
      [message(12, `v=${Buffer.alloc(32).toString('base64')}`), ok],
      [message(12, 'e=no'), ok],
      [ok],
    ]) {
      const port = await listen(t, socket => {
        socket.once('data', answer => {
          const nonce = /r=([^,]+)/.exec(answer.toString('latin1'))?.[1]
          socket.once('data', () => socket.write(Buffer.concat(last)))
          socket.write(message(11, `r=${nonce}more${salted}`))
        })
        socket.write(message(10, first))
      })
      const { gateway, decisions } = await openGateway(t, { port }, { upstream: { port, password: 'x' } })
      assert.equal((await tryConnect(makeClient(gateway)))?.code, '57P03')
      assert.match(decisions[0]?.detail ?? '', /did not prove that it knows the password/)
    }
  })

  function throwing(): string {
    throw new Error('no vault today')
  }

  /** Lets the server ask three users for their passwords, each by another method. */
  async function requirePasswords(scope: Scope): Promise<void> {
    const [file] = await postgres.query('SHOW hba_file')
    const [rows] = await postgres.query(`select pg_read_file('${file?.hba_file}') as text`)
    const original = String(rows?.text)
    const lines = methods.map(method => `host all "with ${method}" 127.0.0.1/32 ${method}`)
    for (const method of methods)
      await postgres.query(`DROP USER IF EXISTS "with ${method}"; CREATE USER "with ${method}"`)
    await setPasswords('pá§s wörd')
    await writeHba(String(file?.hba_file), `${lines.join('\n')}\n${original}`)
    scope.after(() => writeHba(String(file?.hba_file), original))
  }

  async function setPasswords(text: string): Promise<void> {
    for (const method of methods) {
      const encryption = method === 'md5' ? 'md5' : 'scram-sha-256'
      await postgres.query(
        `SET password_encryption = '${encryption}'; ALTER USER "with ${method}" PASSWORD '${text}'`,
      )
    }
  }

  /** By SQL, as the server is another user's process; resolves once new connections go by it. */
  async function writeHba(path: string, text: string): Promise<void> {
    // Only lines that mean something, and none has a character that COPY would escape.
    const lines = text.split('\n').filter(line => /^[a-z]/.test(line))
    const values = lines.map(line => `('${line.replace(/\s+/g, ' ')}')`).join(',')
    await postgres.query(`COPY (VALUES ${values}) TO '${path}'`)
    const loadedAt = async () =>
      String((await postgres.query('select pg_conf_load_time()::text as at'))[0]?.at)
    const before = await loadedAt()
    await postgres.query('select pg_reload_conf()')
    await waitUntil(async () => (await loadedAt()) !== before)
  }
})

async function listen(scope: Scope, behave: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => behave(socket))
    scope.after(() => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.after(() => server.close())
  return (server.address() as { port: number }).port
}

async function backends(id: number): Promise<number> {
  return (await postgres.query(`select 1 from pg_stat_activity where pid = ${id}`)).length
}

/** Asks again in later turns of the event loop; the test runner's own limit ends what never becomes true. */
async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await turn()
}

/** Memory outside of JavaScript's heap, where buffers are, and in it. */
function measure(): number {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
