import assert from 'node:assert/strict'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it, type TestContext } from 'node:test'
import { formatMysqlOptions } from '../../src/cli/mysql-option-file.ts'
import { type Database, startDatabase } from '../../src/index.ts'
import { missing, printExec, runExec, script, type Variables } from './exec-support.ts'

/** A name of this machine that no certificate has. */
const alias = hostname() === 'localhost' ? undefined : await lookup(hostname()).catch(() => undefined)

/** Leads to the gateway from the machine's own name. */
async function openAlias(t: TestContext, address: string, port: number): Promise<number> {
  const server = createServer(socket => {
    const upstream = connectTcp(port, '127.0.0.1')
    for (const one of [socket, upstream]) one.on('error', () => {})
    socket.pipe(upstream).pipe(socket)
  })
  server.listen(0, address)
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

// A name that has to be quoted in an option file.
const user = `shop #1 "x" o'neil\\`
const started = await startDatabase({ engine: 'mysql', users: [user], database: 'shop' }).catch(error => {
  if (error.name !== 'NotInstalled') throw error
  it('rds-iam exec with MySQL', { skip: error.message }, () => {})
})
const optionFile = { host: 'localhost', port: 3306, user: 'app', database: '', caFile: '/ca.pem' }
for (const [maker, version, expected, absent] of [
  ['MariaDB', 'mysql  Ver 15.1 Distrib 10.11.19-MariaDB', /^ssl-verify-server-cert$/m, /ssl-mode|cleartext/],
  ['MySQL', 'mysql  Ver 9.7.4 for Linux on x86_64', /^ssl-mode=VERIFY_IDENTITY\nenable-cleartext-plugin$/m],
] as const) {
  it(`writes what the clients of ${maker} need for verifying the name`, t => {
    const folder = mkdtempSync(join(tmpdir(), 'rds-iam-clients-'))
    writeFileSync(join(folder, 'mysql'), `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 })
    const { PATH } = process.env
    process.env.PATH = folder
    t.after(() => {
      process.env.PATH = PATH
      rmSync(folder, { recursive: true })
    })
    const text = formatMysqlOptions(optionFile)
    assert.match(text, expected)
    if (absent !== undefined) assert.doesNotMatch(text, absent)
  })
}

if (started) testExec(started)

function testExec(database: Database): void {
  after(() => database.close())
  const own: Variables = database.environment
  /** The same without the trust in the gateway. */
  const { MYSQL_SSL_CA: _, DATABASE_CA: __, ...untrusting } = database.environment
  const exec = ['--engine', 'mysql']

  for (const name of ['mysql', 'mariadb'])
    for (const [how, proxy] of [
      ['', []],
      [' through the proxy', ['--proxy']],
    ] as const) {
      it(`lets ${name} migrate the database${how}`, { skip: missing(name) }, async () => {
        const { admitted } = database.stats()
        const migration = 'CREATE TABLE note (text text); INSERT INTO note VALUES (current_user())'
        await printExec([...exec, ...proxy, '--', name], own, migration)
        const rows = await database.query('SELECT text FROM note')
        await database.query('DROP TABLE note')
        assert.deepEqual(rows, [{ text: `${user}@%` }])
        assert.ok(database.stats().admitted > admitted)
      })
    }

  it('lets mysqldump dump it', { skip: missing('mysqldump') }, async () => {
    await database.query('CREATE TABLE memo (text text)')
    const dump = ['mysqldump', '--no-tablespaces', '--skip-comments', 'shop']
    for (const proxy of [[], ['--proxy']])
      assert.match(await printExec([...exec, ...proxy, '--', ...dump], own), /CREATE TABLE `memo`/)
  })

  it('has mysql verify the chain, and send no token otherwise', { skip: missing('mysql') }, async () => {
    const { connections } = database.stats()
    const { status, stderr } = await runExec([...exec, '--', 'mysql', '-e', 'SELECT 1'], untrusting)
    assert.match(stderr, /^ERROR 2026 \(HY000\): .*certificate/)
    assert.equal(status, 1)
    assert.equal(database.stats().connections, connections)
  })

  const connect = script(`
    import mysql from 'mysql2/promise'
    const url = new URL(process.env.DATABASE_URL)
    if (process.env.ALIAS) [url.hostname, url.port] = process.env.ALIAS.split(':')
    const connection = await mysql.createConnection(url.href).catch(error => {
      console.error(error.message)
      process.exit(9)
    })
    console.log(connection.connection.stream.authorized)
    await connection.end()`)

  it('has mysql2 connect by DATABASE_URL, verify the chain, and send no token otherwise', async () => {
    assert.equal(await printExec([...exec, '--', ...connect], own), 'true\n')
    const { connections } = database.stats()
    const { status, stderr } = await runExec([...exec, '--', ...connect], untrusting)
    assert.deepEqual([status, stderr], [9, 'self-signed certificate in certificate chain\n'])
    assert.equal(database.stats().connections, connections)
  })

  const noAlias = alias === undefined && 'this machine has no name of its own'
  it('has mysql and mysql2 verify the name', { skip: noAlias || missing('mysql') }, async t => {
    const { connections } = database.stats()
    const port = await openAlias(t, alias?.address ?? '', database.port)
    const args = ['-h', hostname(), '-P', String(port), '-e', 'SELECT 1']
    const one = await runExec([...exec, '--', 'mysql', ...args], own)
    assert.match(one.stderr, /^ERROR 2026 \(HY000\): /)
    const env = { ...own, ALIAS: `${hostname()}:${port}` }
    const other = await runExec([...exec, '--', ...connect], env)
    assert.match(other.stderr, /does not match certificate's altnames/)
    assert.deepEqual([one.status, other.status], [1, 9])
    assert.equal(database.stats().connections, connections)
  })

  it('gives a new variable for each that is read', async () => {
    const print = script('console.log(JSON.stringify(process.env))')
    const direct = JSON.parse(await printExec([...exec, '--', ...print], own))
    const { searchParams, password, username, pathname } = new URL(direct.DATABASE_URL)
    assert.equal(pathname, '/shop')
    assert.deepEqual([username, password].map(decodeURIComponent), [user, direct.MYSQL_PWD])
    const { ca, ...ssl } = JSON.parse(searchParams.get('ssl') ?? '')
    assert.deepEqual(ssl, { rejectUnauthorized: true, verifyIdentity: true })
    assert.ok(ca.includes(database.ca.trim()))
    assert.match(direct.MYSQL_PWD, /^localhost:\d+\/\?Action=connect&DBUser=/)
    const proxied = JSON.parse(await printExec([...exec, '--proxy', '--', ...print], own))
    assert.equal(new URL(proxied.DATABASE_URL).password, proxied.MYSQL_PWD)
    assert.ok(!('MYSQL_SSL_CA' in proxied))
  })

  it('writes no token to the disk, and what it writes for its user alone', async () => {
    const look = script(`
      import { readdirSync, readFileSync, statSync } from 'node:fs'
      import { join } from 'node:path'
      const folder = process.env.MYSQL_HOME
      const files = readdirSync(folder).map(name => join(folder, name))
      console.log(JSON.stringify({
        modes: [folder, ...files].map(path => (statSync(path).mode & 0o777).toString(8)),
        files: files.map(path => readFileSync(path, 'utf8')),
      }))`)
    for (const [proxy, modes] of [
      [[], ['700', '600', '600']],
      [['--proxy'], ['700', '600']],
    ] as const) {
      const seen = JSON.parse(await printExec([...exec, ...proxy, '--', ...look], own))
      assert.deepEqual(seen.modes, modes)
      assert.doesNotMatch(JSON.stringify(seen.files), /X-Amz|defaultsecret|password/)
    }
  })
}
