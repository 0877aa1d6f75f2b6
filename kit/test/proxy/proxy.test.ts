import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { RdsIamError } from 'middy-rds-iam'
import mysql from 'mysql2/promise'
import { type ProxyOptions, startProxy } from '../../src/index.ts'
import { describeAnyMysql, openMysqlGateway } from '../gateway/mysql-support.ts'
import { openGateway, openPostgres, openWire } from '../gateway/support.ts'
import { connectLocally, findMissing, makeLocalClient, openProxy, runTool, until } from './support.ts'

const psql = await findMissing('psql')
const folder = mkdtempSync(join(tmpdir(), 'rds-iam-proxy-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const server = await openPostgres({ after })
const { gateway } = await openGateway({ after }, server)
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

await describeAnyMysql({ after }, server => {
  it('has a Unix socket for clients of MySQL', async t => {
    const { gateway } = await openMysqlGateway(t, server)
    const socket = join(folder, 'mysql', 'shop.sock')
    const { proxy } = await openProxy(t, gateway, { engine: 'mysql', listen: { socket } })
    const connection = await mysql.createConnection(proxy.url)
    t.after(() => connection.destroy())
    assert.equal(connection.config.socketPath, socket)
    await connection.ping()
    assert.equal(proxy.environment.MYSQL_UNIX_PORT, socket)
    assert.equal(modeOf(socket), '600')
  })
})

describe('a Unix socket of PostgreSQL', () => {
  const socket = join(folder, 'postgres', '.s.PGSQL.5433')

  it('is for its owner alone, and gone when the proxy is closed', async t => {
    const { proxy } = await openProxy(t, gateway, { listen: { socket } })
    assert.equal(modeOf(socket), '600')
    assert.equal(modeOf(join(folder, 'postgres')), '700')
    assert.equal(proxy.host, join(folder, 'postgres'))
    assert.equal(proxy.port, 5433)
    const client = await connectLocally(t, proxy)
    assert.equal((await client.query('SELECT 1')).rowCount, 1)
    await proxy.close()
    assert.equal(existsSync(socket), false)
  })

  it('is found by psql', { skip: psql }, async t => {
    const { proxy } = await openProxy(t, gateway, { listen: { socket } })
    assert.equal((await runTool('psql', [proxy.url, '-Atc', 'SELECT 1'])).stdout, '1\n')
    assert.equal((await runTool('psql', ['-Atc', 'SELECT 1'], proxy.environment)).stdout, '1\n')
  })

  it('takes the place of one that a killed process left, and of no other', async t => {
    const { spawnSync } = await import('node:child_process')
    const leave = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['--eval', leave])
    assert.ok(existsSync(socket))
    await openProxy(t, gateway, { listen: { socket } })
    await assert.rejects(openProxy(t, gateway, { listen: { socket } }), /another program listens there/)
    const file = join(folder, 'postgres', '.s.PGSQL.1')
    writeFileSync(file, 'mine')
    await assert.rejects(openProxy(t, gateway, { listen: { socket: file } }), /another program listens there/)
    assert.equal(statSync(file).size, 4)
  })

  it('is not made in a folder that others may enter', async t => {
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o755)
    await assert.rejects(openProxy(t, gateway, { listen: { socket: join(open, '.s.PGSQL.5432') } }), {
      code: 'RDS_IAM_OPTIONS',
      message: /the folder .*open of the socket may be entered by others \(its mode is 755\): run chmod 700/,
    })
  })
})

describe('a proxy', () => {
  it('has a new password at each start, and its addresses say all that a client needs', async t => {
    const [one, two] = [await openProxy(t, gateway), await openProxy(t, gateway)]
    assert.match(one.proxy.password ?? '', /^[\w-]{32}$/)
    assert.notEqual(one.proxy.password, two.proxy.password)
    const { url, environment, ...rest } = one.proxy
    assert.equal(url, `postgres://app:${rest.password}@127.0.0.1:${rest.port}/orders?sslmode=disable`)
    assert.deepEqual(environment, {
      PGHOST: '127.0.0.1',
      PGPORT: String(rest.port),
      PGUSER: 'app',
      PGPASSWORD: rest.password,
      PGDATABASE: 'orders',
      PGSSLMODE: 'disable',
      DATABASE_URL: url,
    })
    assert.deepEqual(rest.upstream, { host: 'localhost', port: gateway.port })
  })

  it('takes a password of one’s own, whatever characters it has, and listens on ::1 as well', async t => {
    const { proxy } = await openProxy(t, gateway, {
      password: `a%b@c:d/e?f#g'h"i`,
      listen: { host: '::1' },
    })
    const client = await connectLocally(t, proxy)
    assert.equal((await client.query('SELECT 1')).rowCount, 1)
    assert.match(proxy.url, /@\[::1\]:/)
  })

  it('ends everything when it is closed, also what is still on its way, and a second time is fine', async t => {
    const silent = createServer(socket => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    t.after(() => silent.close())
    const { port } = silent.address() as { port: number }
    const slow = await openProxy(t, { ...gateway, port }, { connectTimeoutMs: 600_000 })
    const { proxy } = await openProxy(t, gateway)
    const waiting = assert.rejects(makeLocalClient(slow.proxy).connect())
    const client = makeLocalClient(proxy)
    await client.connect()
    const ended = new Promise<void>(resolve => client.once('end', resolve))
    await openWire(t, proxy.port)
    await Promise.all([proxy.close(), proxy.close(), slow.proxy.close()])
    await Promise.all([waiting, ended])
    await until(() => gateway.stats().open === 0)
    await assert.rejects(makeLocalClient(proxy).connect(), { code: 'ECONNREFUSED' })
  })

  it('survives a listener that throws', async t => {
    const warning = once(process, 'warning')
    const { proxy } = await openProxy(t, gateway, {
      onEvent() {
        throw new Error('of the listener')
      },
    })
    const client = await connectLocally(t, proxy)
    assert.equal((await client.query('SELECT 1')).rowCount, 1)
    assert.match((await warning)[0].message, /onEvent of the proxy threw: of the listener/)
  })

  it('ends clients that do not say who they are', { timeout: 60_000 }, async t => {
    const { proxy } = await openProxy(t, gateway)
    const wire = await openWire(t, proxy.port)
    assert.equal((await wire.rest()).length, 0)
  })
})

const right = { host: 'localhost', port: 5432, user: 'app', region: 'eu-west-1' }
for (const [what, options, message] of [
  [
    'an address that others reach',
    { listen: { host: '0.0.0.0' } },
    /`listen\.host` is not an address of this machine alone/,
  ],
  ['another one', { listen: { host: '::' } }, /`listen\.host` is not an address of this machine alone/],
  [
    'one that looks like loopback',
    { listen: { host: '127.0.0.1.example.com' } },
    /`listen\.host` is not an address/,
  ],
  ['an IPv4 address in IPv6', { listen: { host: '::ffff:192.168.1.2' } }, /`listen\.host` is not an address/],
  [
    'a port that is none',
    { listen: { port: 65_536 } },
    /`listen\.port` is not a whole number from 0 to 65535/,
  ],
  [
    'a socket and a port',
    { listen: { socket: '/x/.s.PGSQL.1', port: 1 } },
    /`listen\.port` is not an option/,
  ],
  ['a socket that no client finds', { listen: { socket: '/x/db.sock' } }, /call it \.s\.PGSQL\.5432/],
  [
    'a path that is too long',
    { listen: { socket: `/${'x'.repeat(100)}/.s.PGSQL.1` } },
    /is longer than the 103 bytes/,
  ],
  ['a short password', { password: 'short' }, /`password` is not a text of at least 8 printable ASCII/],
  ['an empty password', { password: '' }, /`password` is not a text/],
  ['a password that drivers write differently', { password: 'pässword-1' }, /`password` is not a text/],
  ['a password that is none', { password: true }, /`password` is not a text/],
  ['an engine that is not there', { engine: 'oracle' }, /`engine` is not 'postgres' or 'mysql'/],
  ['a listener that is none', { onEvent: 'console' }, /`onEvent` is not a function/],
  ['a logger', { logger: console }, /`logger` is not an option: `onEvent` hears of everything/],
  ['an IP address without an endpoint', { host: '10.0.0.1' }, /add `endpoint`/],
  ['an option that is not there', { max: 3 }, /`max` is not an option/],
  ['TLS turned off', { ssl: false }, /`ssl` is not an option: TLS is always on and verified/],
] as const)
  it(`refuses ${what}`, async () => {
    const error = await startProxy({ ...right, ...options } as ProxyOptions).then(
      proxy => proxy.close(),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof RdsIamError)
    assert.equal(error.code, 'RDS_IAM_OPTIONS')
    assert.match(error.message, message)
    assert.doesNotMatch(error.message, /pässword|"short"/)
  })
