import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { nodeFlags } from '../../../test/support/node-process.ts'
import { describeAnyMysql, openMysqlGateway } from '../gateway/mysql-support.ts'
import { openGateway, openPostgres, region, standIn } from '../gateway/support.ts'
import { withPassword } from '../proxy/support.ts'

const cli = fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'rds-iam-proxy-cli-'))
after(() => rmSync(folder, { recursive: true }))
const environment = {
  PATH: process.env.PATH ?? '',
  HOME: folder,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_REGION: region,
  AWS_ACCESS_KEY_ID: standIn.accessKeyId,
  AWS_SECRET_ACCESS_KEY: standIn.secretAccessKey,
}
const server = await openPostgres({ after })
const { gateway } = await openGateway({ after }, server)
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, gateway.ca)

interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly urls: readonly string[]
  /** What stands beside the URLs until Ctrl-C is spoken of. */
  readonly announced: string
  /** All that was said there so far. */
  said(): string
}

async function start(t: TestContext, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const child = spawn(process.execPath, [...nodeFlags, cli, 'proxy', ...args], {
    env: { ...environment, ...env },
  })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  const urls: string[] = []
  createInterface(child.stdout).on('line', line => urls.push(line))
  // Two pipes: what was written to one first may be read last.
  const isReady = () =>
    said.includes('Ctrl-C ends it.') && urls.length === (said.match(/ leads to /g) ?? []).length
  while (!isReady()) {
    const [end] = await Promise.race([
      once(child, 'exit').then(() => ['end']),
      once(child.stderr, 'data'),
      once(child.stdout, 'data'),
    ])
    if (end === 'end') throw new Error(`the proxy ended: ${said}`)
  }
  return { child, urls, announced: said, said: () => said }
}

async function ask(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('SELECT current_user AS name')
  await client.end()
  return rows[0].name
}

const common = ['--host', 'localhost', '--port', String(gateway.port), '--ca-file', caFile]

// First in the file: tests that are told of while the servers start would be taken for all that there are.
await describeAnyMysql({ after }, server => {
  it('gives several databases a port each, in one process', async t => {
    const shop = await openMysqlGateway(t, server)
    const both = join(folder, 'both.pem')
    writeFileSync(both, `${gateway.ca}\n${shop.gateway.ca}`)
    const { urls, child } = await start(t, [
      `postgresql://app@localhost:${gateway.port}/orders`,
      `mysql://app@127.0.0.1:${shop.gateway.port}/other?endpoint=localhost:${shop.gateway.port}&region=${region}`,
      '--ca-file',
      both,
    ])
    const [orders = '', other = ''] = urls
    assert.equal(await ask(orders), 'app')
    const connection = await mysql.createConnection(other)
    const [rows] = await connection.query('SELECT DATABASE() AS name')
    assert.deepEqual(rows, [{ name: 'other' }])
    connection.destroy()
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [0, null])
  })
})

describe('rds-iam proxy', () => {
  for (const signals of [['SIGINT'], ['SIGINT', 'SIGINT'], ['SIGTERM'], ['SIGHUP']] as const)
    it(`prints the URL, says what happens beside it, and ends on ${signals.join(' and ')}`, async t => {
      const socket = join(folder, 'socket', '.s.PGSQL.5432')
      const args = [...common, '--user', 'app', '--database', 'orders', '--socket', socket]
      const { child, urls, announced, said } = await start(t, args)
      const [url = ''] = urls
      assert.equal(await ask(url), 'app')
      await assert.rejects(ask(withPassword(url, 'not-the-password')), { code: '28P01' })
      assert.ok(announced.startsWith(`${socket} leads to localhost:${gateway.port} as app.\n`), announced)
      assert.match(announced, /^ {2}PGPASSWORD='[\w-]{32}' psql 'postgres:\/\/app@localhost\/orders\?/m)
      // An idle one is ended too.
      const idle = new pg.Client({ connectionString: url }).on('error', () => {})
      await idle.connect()
      while (!/opened .*opened /s.test(said())) await once(child.stderr, 'data')
      for (const signal of signals) child.kill(signal)
      assert.deepEqual(await once(child, 'exit'), [0, null])
      assert.equal(existsSync(socket), false)
      const line = (what: string) => new RegExp(`^\\d{4}-\\S+Z ${socket} ${what}`, 'm')
      assert.match(said(), line('opened "app" to "orders" from a local process after \\d+ ms$'))
      assert.match(said(), line('refused "app" to "orders" from a local process: password authentication'))
      assert.doesNotMatch(said().replace(announced, ''), new RegExp(`X-Amz|${new URL(url).password}`))
    })

  it('takes a password from the environment, and none where that is said', async t => {
    const args = [...common, '--user', 'app', '--database', 'orders']
    const own = await start(t, args, { RDS_IAM_PROXY_PASSWORD: 'one-of-my-own' })
    assert.equal(new URL(own.urls[0] ?? '').password, 'one-of-my-own')
    const none = await start(t, [...args, '--no-password'])
    assert.equal(new URL(none.urls[0] ?? '').password, '')
    assert.equal(await ask(none.urls[0] ?? ''), 'app')
    assert.doesNotMatch(none.announced, /PGPASSWORD/)
  })

  it('prints what a shell takes, whatever is in a name', async t => {
    const { announced } = await start(t, ['--host', 'localhost', '--port', '1', '--user', "o'neil"])
    const command = /^ {2}PGPASSWORD=.* psql (.*)$/m.exec(announced)?.[1]
    const { stdout } = spawnSync('/bin/sh', ['-c', `printf %s ${command}`], { encoding: 'utf8' })
    assert.match(stdout, /^postgres:\/\/o'neil@127\.0\.0\.1:\d+\/o'neil\?sslmode=disable$/)
  })

  it('starts although the database is not there, and says so when somebody comes', async t => {
    const args = ['--host', 'localhost', '--port', '1', '--user', 'app', '--connect-timeout-ms', '1500']
    const { urls, said, child } = await start(t, args)
    await assert.rejects(ask(urls[0] ?? ''), { code: '08001', message: /Nothing listens there/ })
    while (!said().includes('failed')) await once(child.stderr, 'data')
    assert.match(
      said(),
      /failed "app" to "app" from 127\.0\.0\.1:\d+: RDS_IAM_UNREACHABLE: Could not connect/,
    )
  })
})

const database = ['--host', 'orders.c1x2.eu-west-1.rds.amazonaws.com', '--user', 'app']
const url = 'postgres://app@orders.c1x2.eu-west-1.rds.amazonaws.com/orders'
const taken = createServer().listen(0, '127.0.0.1')
await once(taken, 'listening')
after(() => taken.close())
const takenPort = String((taken.address() as { port: number }).port)
for (const [what, args, message, env = {}] of [
  ['nothing', [], /- --host is missing; give it, or set PGHOST\n- --user is missing/],
  ['an unknown engine', [...database, '--engine', 'oracle'], /--engine is neither postgres nor mysql/],
  ['a port that is none', [...database, '--port', 'x'], /--port is not a whole number; got "x"/],
  [
    'a port to listen on that is none',
    [...database, '--listen', '99999'],
    /- --listen is not a whole number/,
  ],
  [
    'an address that others reach',
    [...database, '--listen', '0.0.0.0:1'],
    /- --listen is not an address of this/,
  ],
  ['a port that is taken', [...database, '--listen', takenPort], /another program listens there/],
  [
    'a port and a socket',
    [...database, '--listen', '1', '--socket', '/x'],
    /--listen and --socket contradict/,
  ],
  [
    'a socket that no client finds',
    [...database, '--socket', '/x/db'],
    /- --socket has a name that no client/,
  ],
  ['an IP address alone', ['--host', '10.0.0.1', '--user', 'app'], /- --host is an IP address/],
  ['a certificate that is not there', [...database, '--ca-file', 'gone.pem'], /--ca-file gone\.pem: ENOENT/],
  ['a certificate that is none', [...database, '--ca-file', cli], /- --ca-file/],
  [
    'a password that is short',
    database,
    /- RDS_IAM_PROXY_PASSWORD is not a text of/,
    { RDS_IAM_PROXY_PASSWORD: 'short' },
  ],
  [
    'a password and none',
    [...database, '--no-password'],
    /contradict each other/,
    { RDS_IAM_PROXY_PASSWORD: 'long-enough' },
  ],
  ['a URL of something else', ['https://example.com'], /is no URL of the form postgres:/],
  ['a URL with a password', [url.replace('app@', 'app:secret@')], /has a password: a token takes its place/],
  [
    'a URL with a wrong parameter',
    [`${url}?sslmode=disable`],
    /has the parameter "sslmode": there are endpoint, /,
  ],
  ['a URL and a flag', [url, '--user', 'app'], /--user goes into the URL where there is one/],
  [
    'a URL with a wrong option',
    [url, `${url}?listen=0.0.0.0:1`],
    /"postgres:.*: an option is wrong:\n- --listen/,
  ],
  ['one port for two', [`${url}?listen=${takenPort}`, url], /another program listens there/],
] as const)
  it(`refuses ${what}, with status 2`, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, cli, 'proxy', ...args], {
      env: { ...environment, ...env },
      encoding: 'utf8',
    })
    assert.match(stderr, message)
    assert.match(stderr, /Try rds-iam proxy --help\.\n$/)
    assert.doesNotMatch(stderr, /^ {4}at |secret|"short"/m)
    assert.equal(stdout, '')
    assert.equal(status, 2)
  })
