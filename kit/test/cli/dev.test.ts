import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nodeFlags } from '../../../test/support/node-process.ts'

const cli = fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'rds-iam-database-test-'))
after(() => rmSync(folder, { recursive: true }))
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const setup = write('tables.sql', 'CREATE TABLE orders (id integer); INSERT INTO orders VALUES (7)')
const policy = write('policy.json', '{ "Version": "2012-10-17", "Statement": [] }')

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`prints what a shell has to be told, says each decision beside it, and ends on ${signal}`, async t => {
    const child = spawn(process.execPath, [
      ...nodeFlags,
      cli,
      'database',
      '--user',
      "o'neil",
      '--setup',
      setup,
    ])
    t.after(() => child.kill('SIGKILL'))
    const errors = createInterface(child.stderr)[Symbol.asyncIterator]()
    const lines: string[] = []
    for await (const line of createInterface(child.stdout)) {
      lines.push(line)
      if (line.startsWith('export DATABASE_CA')) break
    }
    const started = (await errors.next()).value
    assert.match(
      started ?? '',
      /^PostgreSQL 18\S* is behind the gateway at localhost:\d+\. Ctrl-C ends both\.$/,
    )
    // The shell reads what was printed, and a function in it what the shell was told.
    const script = `
      import { iamPg } from ${JSON.stringify(new URL('../../../src/pg.ts', import.meta.url).href)}
      import middy from '@middy/core'
      const middleware = iamPg({ tls: { ca: process.env.DATABASE_CA } })
      const handler = middy().use(middleware).handler(async (_event, { db }) => {
        const { rows } = await db.query('SELECT id, current_user AS name FROM orders')
        await db.end()
        return rows
      })
      console.log(JSON.stringify(await handler({}, {})))`
    const command = [...lines, 'exec "$0" "$@"'].join('\n')
    const run = ['-c', command, process.execPath, ...nodeFlags, '--input-type=module', '--eval', script]
    const env = { PATH: process.env.PATH ?? '', AWS_SESSION_TOKEN: 'session', AWS_PROFILE: 'work' }
    const { stdout, stderr } = spawnSync('/bin/sh', run, { env, encoding: 'utf8', cwd: import.meta.dirname })
    assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), [{ id: 7, name: "o'neil" }])
    assert.match((await errors.next()).value ?? '', /Z admitted "o'neil" to "o'neil" from /)
    const caFile = /cat '(.*)'/.exec(lines.at(-1) ?? '')?.[1] ?? ''
    assert.ok(existsSync(caFile))
    child.kill(signal)
    assert.deepEqual(await once(child, 'exit'), [0, null])
    assert.equal(existsSync(caFile), false)
  })
}

for (const [what, args, message] of [
  ['no user', [], /- --user names nobody; give at least one IAM user/],
  ['the superuser', ['--user', 'postgres'], /- --user is the master user/],
  ['an unknown engine', ['--user', 'a', '--engine', 'oracle'], /--engine is neither postgres nor mysql/],
  ['a limit of nothing', ['--user', 'a', '--limit', '0'], /- --limit is not a whole number of at least 1/],
  ['a setup that is not there', ['--user', 'a', '--setup', 'gone.sql'], /--setup: ENOENT/],
  ['a policy without what it is for', ['--user', 'a', '--policy', policy], /--policy needs --resource-id/],
  [
    'the name of an instance',
    ['--user', 'a', '--policy', policy, '--resource-id', 'orders'],
    /- --resource-id is not a resource id/,
  ],
] as const) {
  test(`ends with 2 and starts nothing for ${what}`, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, cli, 'database', ...args], {
      encoding: 'utf8',
    })
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, message)
    assert.match(stderr, /^error: [\s\S]*^Try rds-iam database --help\.$/m)
  })
}

test('ends with 1 where the setup fails, and with 2 where the certificate cannot be written, and leaves nothing', () => {
  const broken = write('broken.sql', 'CREATE TABEL orders (id integer)')
  for (const [args, status, message] of [
    [['--setup', broken], 1, /syntax error at or near "TABEL"/],
    [['--ca-file', join(folder, 'no', 'ca.pem')], 2, /--ca-file: ENOENT/],
  ] as const) {
    const all = [...nodeFlags, cli, 'database', '--user', 'a', ...args]
    const ended = spawnSync(process.execPath, all, { encoding: 'utf8', timeout: 60_000 })
    assert.deepEqual([ended.status, ended.stdout], [status, ''])
    assert.match(ended.stderr, message)
  }
})
