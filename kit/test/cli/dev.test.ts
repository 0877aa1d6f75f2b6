import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nodeFlags } from '../../../test/support/node-process.ts'

const cli = fileURLToPath(new URL('../../src/cli/rds-iam.ts', import.meta.url))
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rds-iam-dev-test-')))
after(() => rmSync(folder, { recursive: true }))
// Root hands the server to another user, who has to come as far as its data.
chmodSync(folder, 0o755)
const write = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}
const setup = write('tables.sql', 'CREATE TABLE orders (id integer); INSERT INTO orders VALUES (7)')
const policy = write(
  'policy.json',
  '{ "Version": "2012-10-17", "Statement": { "Effect": "Deny", "Action": "rds-db:connect", "Resource": "*" } }',
)

function makeProject(name: string): string {
  const project = join(folder, name)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{}')
  return project
}

interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly file: string
  nextLine(): Promise<string>
}

/** @param command What it is started by, besides Node itself. */
async function start(
  t: TestContext,
  project: string,
  args: readonly string[],
  command: readonly string[] = [process.execPath],
): Promise<Running> {
  const [program = '', ...rest] = [...command, ...nodeFlags, cli, 'dev', '--port', '0', ...args]
  // A group of its own, as what a terminal starts.
  const child = spawn(program, rest, { cwd: project, detached: true })
  t.after(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const nextLine = async () => {
    const { value, done } = await lines.next()
    if (done) throw new Error(`it ended: ${errors}`)
    return value
  }
  assert.match(await nextLine(), /^\S+ [\d.]+ is behind the gateway at localhost:\d+\. Ctrl-C ends both\.$/)
  const file = /^Its environment, for another shell: \. '(.+)'$/.exec(await nextLine())?.[1] ?? ''
  return { child, file, nextLine }
}

/** Runs a function in a shell that was told the environment, and a shell alone by what Node reads of it. */
function runFunction(file: string, sql: string): unknown {
  const script = `
    import { iamPg } from ${JSON.stringify(new URL('../../../src/pg.ts', import.meta.url).href)}
    import middy from '@middy/core'
    const handler = middy().use(iamPg()).handler(async (_event, { db }) => {
      const { rows } = await db.query(process.argv.at(-1))
      await db.end()
      return rows
    })
    console.log(JSON.stringify(await handler({}, {})))`
  const node = [process.execPath, ...nodeFlags, '--input-type=module', '--eval', script, sql]
  const run = ['-c', '. "$0"; exec "$@"', file, ...node]
  const env = { PATH: process.env.PATH ?? '', AWS_SESSION_TOKEN: 'session', AWS_PROFILE: 'work' }
  const { stdout, stderr } = spawnSync('/bin/sh', run, { env, encoding: 'utf8', cwd: import.meta.dirname })
  return JSON.parse(stdout || JSON.stringify(stderr))
}

test('tells a shell what a function needs, and says each decision, until it is told to end', async t => {
  const project = makeProject('alone')
  const below = join(project, 'src')
  mkdirSync(below)
  const { child, file, nextLine } = await start(t, below, ['--user', "o'neil", '--setup', setup])
  const kept = join(project, '.rds-iam')
  assert.match(file, /\/alone\/\.rds-iam\/postgres-\d+\.env$/)
  assert.deepEqual(runFunction(file, 'SELECT id, current_user AS name FROM orders'), [
    { id: 7, name: "o'neil" },
  ])
  assert.match(await nextLine(), /Z admitted "o'neil" to "o'neil" from /)
  if (process.platform !== 'win32') assert.equal((statSync(file).mode & 0o777).toString(8), '600')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
  assert.deepEqual(readdirSync(kept).sort(), ['.gitignore', 'authority.pem', 'ca.pem'])
})

test('has an environment that Node reads, too', async t => {
  const { child, file } = await start(t, makeProject('node'), ['--user', 'app'])
  const script = 'console.log(JSON.stringify([process.env.PGUSER, process.env.DATABASE_CA]))'
  const { stdout } = spawnSync(process.execPath, [`--env-file=${file}`, '--eval', script], {
    encoding: 'utf8',
  })
  const ca = readFileSync(join(file, '..', 'ca.pem'), 'utf8')
  assert.deepEqual(JSON.parse(stdout), ['app', ca])
  child.kill('SIGINT')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('starts beside another one, which goes on, with the same authority', async t => {
  const project = makeProject('two')
  const [one, two] = await Promise.all([
    start(t, project, ['--user', 'one']),
    start(t, project, ['--user', 'two']),
  ])
  assert.notEqual(one.file, two.file)
  const caOf = ({ file }: Running) => /DATABASE_CA='([^']+)'/.exec(readFileSync(file, 'utf8'))?.[1]
  assert.equal(caOf(one), caOf(two))
  one.child.kill('SIGINT')
  assert.deepEqual(await once(one.child, 'exit'), [0, null])
  assert.equal(existsSync(one.file), false)
  assert.deepEqual(runFunction(two.file, 'SELECT current_user AS name'), [{ name: 'two' }])
  two.child.kill('SIGINT')
  await once(two.child, 'exit')
})

const noGroups = process.platform === 'win32' && 'Windows has no process groups'
test('ends once by Ctrl-C under npm, which passes on what everybody in the terminal got', {
  skip: noGroups,
}, async t => {
  const project = makeProject('npm')
  const npm = ['npm', 'exec', '--offline', '--', process.execPath]
  const { child, file } = await start(t, project, ['--user', 'app'], npm)
  const port = Number(/PGPORT='(\d+)'/.exec(readFileSync(file, 'utf8'))?.[1])
  const before = processesOf(child.pid ?? 0)
  assert.ok(before.length >= 2, `npm and what it started: ${before}`)
  process.kill(-(child.pid ?? 0), 'SIGINT')
  process.kill(-(child.pid ?? 0), 'SIGINT')
  await once(child, 'exit')
  // npm may be the first to end.
  for (let turns = 0; turns < 100 && processesOf(child.pid ?? 0).length > 0; turns += 1)
    await new Promise(resolve => setTimeout(resolve, 100))
  assert.deepEqual(processesOf(child.pid ?? 0), [])
  assert.equal(existsSync(file), false)
  await assert.rejects(fetch(`http://127.0.0.1:${port}`), { message: 'fetch failed' })
})

/** The processes of a group. */
function processesOf(group: number): readonly string[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pgid=,stat=,args='], { encoding: 'utf8' })
  const lines = stdout.split('\n').map(line => line.trim())
  return lines.filter(line => line.startsWith(`${group} `) && !/^\d+ +Z/.test(line))
}

for (const [what, args, message] of [
  ['no user', [], /- --user names nobody; give at least one IAM user/],
  ['the superuser', ['--user', 'postgres'], /- --user is the master user/],
  ['an unknown engine', ['--user', 'a', '--engine', 'oracle'], /--engine is neither postgres nor mysql/],
  ['a limit of nothing', ['--user', 'a', '--limit', '0'], /- --limit is not a whole number of at least 1/],
  ['a setup that is not there', ['--user', 'a', '--setup', 'gone.sql'], /--setup: ENOENT/],
  ['a policy without what it is for', ['--user', 'a', '--policy', policy], /--policy needs --resource-id/],
  ['a user without a name', ['--user'], /--user/],
  [
    'the name of an instance',
    ['--user', 'a', '--policy', policy, '--resource-id', 'orders'],
    /- --resource-id is not a resource id/,
  ],
] as const) {
  test(`ends with 2 and starts nothing for ${what}`, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, cli, 'dev', ...args], {
      encoding: 'utf8',
    })
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, message)
    assert.match(stderr, /^error: [\s\S]*^Try rds-iam dev --help\.$/m)
  })
}

test('ends with 2 where the setup fails, or it cannot listen or keep anything, and leaves nothing', async t => {
  const project = makeProject('failing')
  const { child, file } = await start(t, project, ['--user', 'app'])
  const taken = /PGPORT='(\d+)'/.exec(readFileSync(file, 'utf8'))?.[1] ?? ''
  const blocked = makeProject('blocked')
  writeFileSync(join(blocked, '.rds-iam'), '')
  const broken = write('broken.sql', 'CREATE TABEL orders (id integer)')
  for (const [cwd, args, message] of [
    [
      project,
      ['--port', '0', '--setup', broken],
      /broken\.sql fails at line 1: syntax error at or near "TABEL"/,
    ],
    [project, ['--port', taken], /cannot listen on 127\.0\.0\.1:\d+: the port is in use; give another one/],
    [
      project,
      ['--port', '0', '--host', '203.0.113.9', '--policy', policy, '--resource-id', 'db-X'],
      /does not have that address/,
    ],
    [blocked, ['--port', '0'], /\.rds-iam cannot be used: (EEXIST|ENOTDIR)/],
  ] as const) {
    const all = [...nodeFlags, cli, 'dev', '--user', 'a', ...args]
    const temporary = mkdtempSync(join(folder, 'tmp-'))
    chmodSync(temporary, 0o755)
    const env = { ...process.env, TMPDIR: temporary }
    const ended = spawnSync(process.execPath, all, { encoding: 'utf8', timeout: 60_000, cwd, env })
    assert.match(ended.stderr, message)
    assert.deepEqual([ended.status, ended.stdout, readdirSync(temporary)], [2, '', []])
  }
  child.kill('SIGINT')
  await once(child, 'exit')
})
