import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { rootCertificates } from 'node:tls'
import { startDatabase } from '../../src/index.ts'
import {
  environment,
  folder,
  leftovers,
  missing,
  printExec,
  program,
  runExec,
  script,
  startExec,
  type Variables,
} from './exec-support.ts'

const database = await startDatabase({ engine: 'postgres', users: ['orders_app'], database: 'orders' })
after(() => database.close())
const own: Variables = database.environment
/** The same without the trust in the gateway. */
const { PGSSLROOTCERT: caFile = '', DATABASE_CA: _, ...untrusting } = database.environment
const ask = 'SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'

describe('rds-iam exec with PostgreSQL', () => {
  const psql = { skip: missing('psql') }

  it('lets psql migrate the database', psql, async () => {
    const migration = 'CREATE TABLE note (text text); INSERT INTO note VALUES (current_user)'
    writeFileSync(join(folder, 'migration.sql'), migration)
    await printExec(['--', 'psql', '-q', '-1', '-f', join(folder, 'migration.sql')], own)
    assert.deepEqual(await database.query('SELECT text FROM note'), [{ text: 'orders_app' }])
  })

  it('lets psql migrate it through the proxy, by the variables and by the URL', psql, async () => {
    const { admitted } = database.stats()
    const commands =
      'psql -q -c "CREATE TABLE memo (text text)" && psql "$DATABASE_URL" -q -c "DROP TABLE memo"'
    await printExec(['--proxy', '--', 'sh', '-c', commands], own)
    assert.equal(database.stats().admitted, admitted + 2)
  })

  it('gives psql the input, and takes what is known from flags before the environment', psql, async () => {
    const { PGHOST = '', PGPORT = '', PGUSER = '', PGDATABASE = '', ...others } = untrusting
    const address = ['--host', PGHOST, '--port', PGPORT, '--user', PGUSER, '--database', PGDATABASE]
    const elsewhere = {
      PGHOST: 'elsewhere',
      PGPORT: '1',
      PGUSER: 'nobody',
      PGHOSTADDR: '192.0.2.1',
      PGSERVICE: 'x',
    }
    const tunnel = [
      '--host',
      '127.0.0.1',
      '--endpoint',
      `${PGHOST}:${PGPORT}`,
      ...address.slice(2),
      '--proxy',
    ]
    for (const args of [address, [...address, '--proxy'], tunnel]) {
      const command = [...args, '--ca-file', caFile, '--', 'psql', '-At']
      assert.equal(await printExec(command, { ...others, ...elsewhere }, ask), 'orders_app|f\n')
    }
  })

  it('has psql verify the chain and the name, and send no token otherwise', psql, async () => {
    const { connections } = database.stats()
    const chain = await runExec(['--', 'psql', '-c', ask], untrusting)
    assert.match(chain.stderr, /certificate verify failed/)
    const otherName = 'PGHOSTADDR=127.0.0.1 PGHOST=orders.example psql -c "SELECT 1"'
    const name = await runExec(['--', 'sh', '-c', otherName], own)
    assert.match(name.stderr, /does not match host name "orders\.example"/)
    assert.deepEqual([chain.status, name.status], [2, 2])
    assert.equal(database.stats().connections, connections)
  })

  it('has pg connect by DATABASE_URL, verify the chain, and send no token otherwise', async () => {
    const connect = script(`
      import pg from 'pg'
      const client = new pg.Client(process.env.DATABASE_URL)
      await client.connect().catch(error => {
        console.error(error.code)
        process.exit(9)
      })
      console.log(client.connection.stream.authorized)
      await client.end()`)
    assert.equal(await printExec(['--', ...connect], own), 'true\n')
    const { connections } = database.stats()
    const { status, stderr } = await runExec(['--', ...connect], untrusting)
    assert.deepEqual([status, stderr], [9, 'SELF_SIGNED_CERT_IN_CHAIN\n'])
    assert.equal(database.stats().connections, connections)
  })

  it('gives a new variable for each that is read, and no way round TLS', async () => {
    const inherited = { PGSSLMODE: 'disable', PGSSLNEGOTIATION: 'direct', PGCHANNELBINDING: 'require' }
    const print = script('console.log(JSON.stringify(process.env))')
    const direct = JSON.parse(await printExec(['--', ...print], { ...own, ...inherited }))
    const { searchParams, password, pathname } = new URL(direct.DATABASE_URL)
    assert.equal(direct.PGSSLMODE, 'verify-full')
    assert.equal(decodeURIComponent(password), direct.PGPASSWORD)
    assert.match(direct.PGPASSWORD, /^localhost:\d+\/\?Action=connect&DBUser=orders_app&/)
    assert.deepEqual(
      [pathname, ...searchParams],
      ['/orders', ['sslmode', 'verify-full'], ['sslrootcert', direct.PGSSLROOTCERT]],
    )
    const proxied = JSON.parse(await printExec(['--proxy', '--', ...print], { ...own, ...inherited }))
    assert.equal(proxied.PGSSLMODE, 'disable')
    assert.equal(new URL(proxied.DATABASE_URL).password, proxied.PGPASSWORD)
    for (const name of ['PGSSLROOTCERT', 'PGSSLNEGOTIATION', 'PGCHANNELBINDING'])
      assert.ok(!(name in proxied), name)
    assert.doesNotMatch(JSON.stringify(proxied), /X-Amz-Signature/)
  })

  it('writes no token to the disk or into a command line, and what it writes for its user alone', async () => {
    const look = script(`
      import { readdirSync, readFileSync, statSync } from 'node:fs'
      import { dirname, join } from 'node:path'
      const folder = dirname(process.env.PGSSLROOTCERT)
      const files = readdirSync(folder).map(name => join(folder, name))
      console.log(JSON.stringify({
        modes: [folder, ...files].map(path => (statSync(path).mode & 0o777).toString(8)),
        files: files.map(path => readFileSync(path, 'utf8')),
        lines: process.platform === 'linux' ? readFileSync('/proc/' + process.ppid + '/cmdline', 'utf8') : '',
      }))`)
    const { modes, files, lines } = JSON.parse(await printExec(['--', ...look], own))
    assert.deepEqual(modes, ['700', '600'])
    assert.ok(files[0].includes(database.ca.trim()))
    assert.doesNotMatch(JSON.stringify([files, lines]), /X-Amz|defaultsecret/)
  })
})

/** A command that says when it is ready, and then each signal that reaches it. */
const tellSignals = script(`
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(name, () => console.log(name))
  process.stdin.on('data', data => {
    console.log('input', String(data).trim())
    if (String(data).includes('end')) process.exit(7)
  })
  console.log('ready', process.env.PGSSLROOTCERT, process.pid)`)

/** Starts it, and waits until it is ready. */
async function startTelling(t: TestContext) {
  const child = startExec(['--', ...tellSignals], own, { detached: true })
  t.after(() => child.kill('SIGKILL'))
  assert.ok(child.stdout && child.stdin)
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async () => (await lines.next()).value ?? ''
  const [, file = '', pid] = (await next()).split(' ')
  return { child, next, file, pid: Number(pid), ended: once(child, 'exit') }
}

describe('rds-iam exec and its command', () => {
  for (const [how, command, expected] of [
    ['its status', 'exit 7', [7, null]],
    ['success', 'true', [0, null]],
    ['a signal', 'kill -TERM $$', [null, 'SIGTERM']],
    ['Ctrl-C', 'kill -INT $$', [null, 'SIGINT']],
    ['a kill', 'kill -KILL $$', [null, 'SIGKILL']],
    // A second image of a memory with a token in it is not written: the status is a shell's.
    ['a crash', 'ulimit -c 0; kill -ABRT $$', [134, null]],
  ] as const) {
    it(`ends as the command does, by ${how}`, async () => {
      const { status, signal, stdout, stderr } = await runExec(['--', 'sh', '-c', command], own)
      assert.deepEqual([status, signal, stdout, stderr], [...expected, '', ''])
    })
  }

  it('passes signals on, and waits for what the command makes of them', async t => {
    const { child, next, file, ended } = await startTelling(t)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGTERM'] as const) {
      child.kill(signal)
      assert.equal(await next(), signal)
    }
    assert.ok(existsSync(file))
    child.stdin?.write('end\n')
    assert.equal(await next(), 'input end')
    assert.deepEqual(await ended, [7, null])
    assert.deepEqual(leftovers(), [])
  })

  it('leaves no file behind where it is killed itself', async t => {
    const { child, file, pid, ended } = await startTelling(t)
    t.after(() => process.kill(pid, 'SIGKILL'))
    assert.ok(statSync(file).isFile())
    child.kill('SIGKILL')
    await ended
    while (leftovers().length > 0) await setImmediate()
  })

  const terminal = { skip: missing('python3') }
  it('does not add to the Ctrl-C of a terminal, which reaches the command by itself', terminal, async t => {
    // A terminal, whose keyboard is the standard input.
    const python = `
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))`
    const [node, ...rest] = program
    const inTerminal = [node, ...rest, 'exec', '--', ...tellSignals]
    const child = spawn('python3', ['-c', python, ...inTerminal], { env: { ...environment, ...own } })
    t.after(() => child.kill('SIGKILL'))
    const ended = once(child, 'exit')
    // After each Ctrl-C some words are exchanged, in which a second signal would have arrived.
    const keys = [...Array(3).fill(['\x03', 'a\n', 'b\n', 'c\n']), ['end\n']].flat()
    const said: string[] = []
    for await (const line of createInterface(child.stdout)) {
      const word = line.replaceAll('^C', '').trim()
      if (!/^(ready|input|SIG)/.test(word)) continue
      said.push(word.replace(/^ready.*/, 'ready'))
      if (keys.length > 0 && said.length >= 14 - keys.length) child.stdin.write(keys.shift())
    }
    const round = ['SIGINT', 'input a', 'input b', 'input c']
    assert.deepEqual(said, ['ready', ...round, ...round, ...round, 'input end'])
    assert.deepEqual(await ended, [7, null])
  })

  it('takes no argument for Prisma', async () => {
    assert.equal(await printExec(['--', 'echo', 'prisma'], own), 'prisma\n')
  })

  it('has Node.js verify the server whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
    const stranger = join(folder, 'stranger.pem')
    writeFileSync(stranger, rootCertificates[0] ?? '')
    const connect = `
      import pg from 'pg'
      const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
      await client.connect().then(() => console.log('sent the token'), error => console.log(error.code))
      await client.end()`
    const { connections } = database.stats()
    const env = { ...untrusting, NODE_TLS_REJECT_UNAUTHORIZED: '0' }
    const printed = await runExec(['--ca-file', stranger, '--', ...script(connect)], env)
    assert.doesNotMatch(printed.stdout, /sent/)
    assert.equal(database.stats().connections, connections)
  })

  it('leaves --help behind -- to the command', async () => {
    const args = ['--', ...script('console.log(process.argv.at(-1))'), '--', '--help']
    assert.equal(await printExec(args, own), '--help\n')
  })
})

describe('rds-iam exec where something is wrong', () => {
  const noCertificate = join(folder, 'none.pem')
  writeFileSync(noCertificate, 'none')
  writeFileSync(join(folder, 'text'), 'none')
  const touch = ['--', 'sh', '-c', 'echo started']
  const { PGHOST: _, PGUSER: __, ...nowhere } = own
  for (const [what, args, message, env = own] of [
    ['no --', ['psql'], /a command is needed behind --/],
    ['no command', ['--'], /a command is needed behind --/],
    ['an empty command', ['--', ''], /a command is needed behind --/],
    ['a command before --', ['psql', ...touch], /Unexpected argument 'psql'/],
    ['an unknown engine', ['--engine', 'oracle', ...touch], /--engine is neither postgres nor mysql/],
    ['a port that is none', ['--port', 'x', ...touch], /--port is not a whole number; got "x"/],
    ['a port that is too high', ['--port', '65536', ...touch], /- --port is not a port/],
    ['a port of the environment', touch, /- `PGPORT` is not a port/, { ...own, PGPORT: 'x' }],
    [
      'nothing to connect to',
      touch,
      /- --host is missing; give it, or set PGHOST\n- --user is missing/,
      nowhere,
    ],
    ['an IP address', ['--host', '10.0.0.1', ...touch], /- --host is an IP address/],
    ['a Region that is none', ['--region', 'Ireland', ...touch], /- --region is not the name of a Region/],
    [
      'a Region that is not the endpoint’s',
      ['--host', 'a.b.eu-west-1.rds.amazonaws.com', '--region', 'us-east-1', ...touch],
      /- --region is not the endpoint's own, eu-west-1/,
    ],
    ['no file of authorities', ['--ca-file', 'gone.pem', ...touch], /--ca-file gone\.pem: ENOENT/],
    [
      'a file without a certificate',
      ['--ca-file', noCertificate, ...touch],
      /- --ca-file holds no certificate/,
    ],
    ['an endpoint without the proxy', ['--endpoint', 'a.example', ...touch], /--endpoint goes with --proxy/],
    ['Prisma without the proxy', ['--', 'npx', 'prisma', 'migrate', 'deploy'], /give --proxy/],
    ['Prisma of a version', ['--', 'pnpm', 'dlx', 'prisma@7'], /give --proxy/],
    ['Prisma by its path', ['--', 'node_modules/.bin/prisma'], /give --proxy/],
    ['a command that is not there', ['--', 'no-such-command'], /the command "no-such-command" is not there/],
    ['the same with the proxy', ['--proxy', '--', 'no-such-command'], /"no-such-command" is not there/],
    ['a command that is no program', ['--', join(folder, 'text')], /text" may not be run: it is no program/],
  ] as const) {
    it(`ends with 2 and starts nothing for ${what}`, async () => {
      const { status, stdout, stderr } = await runExec(args, env as Variables)
      assert.match(stderr, message)
      assert.match(stderr, /^error: [\s\S]*^Try rds-iam exec --help\.$/m)
      assert.deepEqual([status, stdout], [2, ''])
    })
  }

  for (const [how, proxy] of [
    ['', []],
    [', with the proxy too', ['--proxy']],
  ] as const) {
    it(`ends with 1 and starts nothing without credentials${how}`, async () => {
      const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...others } = own
      const { status, stdout, stderr } = await runExec([...proxy, ...touch], others)
      assert.match(stderr, /^error: Could not sign an authentication token for orders_app@localhost:/)
      assert.deepEqual([status, stdout], [1, ''])
    })
  }

  it('has the proxy tell the command why there is no session', { skip: missing('psql') }, async () => {
    const { status, stderr } = await runExec(['--proxy', '--database', 'gone', '--', 'psql', '-c', ask], own)
    assert.match(stderr, /FATAL: {2}[^\n]*database "gone" does not exist/)
    assert.match(stderr, /^rds-iam exec: failed "orders_app" to "gone" from \S+: \S+: .*does not exist/m)
    assert.equal(status, 2)
  })
})
