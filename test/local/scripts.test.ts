import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { findMysqlProgram } from '../../kit/src/database/mysql-program.ts'
import { root } from '../../local/template.ts'
import { nodeFlags } from '../support/node-process.ts'

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function runScript(name: string, args: readonly string[] = []): Promise<Run> {
  const { INIT_CWD: _, ...env } = process.env
  return new Promise(resolve => {
    execFile(
      process.execPath,
      [...nodeFlags, join(root, 'scripts', name), ...args],
      { cwd: root, env },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
}

/** The reason, where there is neither MySQL nor MariaDB. */
function withoutMysql(): string | false {
  try {
    findMysqlProgram()
    return false
  } catch (error) {
    return (error as Error).message
  }
}

test('the demo finds everything as it should be', async () => {
  const { code, stdout, stderr } = await runScript('demo.ts')
  assert.equal(code, 0, stderr)
  const counts = [...stdout.matchAll(/connections opened {3}(\d+)\n {2}tokens signed {8}(\d+)\n/g)]
  const engines = [...stdout.matchAll(/^== (PostgreSQL|MySQL|MariaDB) /gm)].map(([, name]) => name)
  assert.equal(engines[0], 'PostgreSQL')
  if (engines.length < 2) assert.match(stdout, /^MySQL is not shown: neither/m)
  assert.deepEqual(
    counts.map(([, connections, tokens]) => [connections, tokens]),
    engines.map(() => ['1', '1']),
  )
  assert.match(stdout, /Everything was as it should be\.\n$/)
})

test('the demo shows one engine alone', async () => {
  const { code, stdout, stderr } = await runScript('demo.ts', ['--engine', 'postgres'])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^== PostgreSQL /m)
  assert.doesNotMatch(stdout, /MySQL|MariaDB/)
})

test('invoke prints the response alone to standard output, and the time beside it', async () => {
  const { code, stdout, stderr } = await runScript('invoke.ts', ['events/who-am-i.json'])
  assert.equal(code, 0, stderr)
  assert.equal((JSON.parse(stdout) as { user: string }).user, 'notes_app')
  assert.match(stderr, /^succeeded in \d+ ms/m)
})

test('invoke runs the sample function of MySQL', { skip: withoutMysql() }, async () => {
  const { code, stdout, stderr } = await runScript('invoke.ts', ['--engine', 'mysql', 'events/who-am-i.json'])
  assert.equal(code, 0, stderr)
  const { user, server } = JSON.parse(stdout) as { user: string; server: string }
  assert.equal(user, 'notes_app')
  assert.doesNotMatch(server, /PostgreSQL/)
})

test('invoke exits with 1 and the error where the function fails', async () => {
  const { code, stdout, stderr } = await runScript('invoke.ts', ['package.json'])
  assert.equal(code, 1, stderr)
  assert.equal((JSON.parse(stdout) as { errorType: string }).errorType, 'InvalidEvent')
})

for (const [name, args, message] of [
  ['invoke.ts', [], /^error: one event file is needed, got none\nTry npm run invoke -- --help\.$/m],
  [
    'invoke.ts',
    ['--engine', 'oracle', 'events/add-note.json'],
    /--engine is neither postgres nor mysql; got "oracle"/,
  ],
  ['demo.ts', ['mysql'], /^error: Unexpected argument 'mysql'[\s\S]*Try npm run demo -- --help\.$/m],
  [
    'bench.ts',
    ['--engine', 'oracle'],
    /--engine is neither postgres nor mysql; got "oracle"\nTry npm run bench -- --help\.$/m,
  ],
  ['invoke.ts', ['events/missing.json'], /the event file cannot be read: ENOENT.*missing\.json/],
  ['invoke.ts', ['template.yaml'], /template\.yaml is not JSON/],
  [
    'gateway.ts',
    ['--port', 'http'],
    /--port is not a whole number; got "http"\nTry npm run gateway -- --help\.$/m,
  ],
  ['test-examples.ts', ['nothing'], /there is no example nothing; there are .*drizzle/],
  ['gateway.ts', ['--bind', '::'], /'--bind'[\s\S]*Try npm run gateway -- --help/],
] as const) {
  test(`exits with 2 and says why: ${[name, ...args].join(' ')}`, async () => {
    const { code, stdout, stderr } = await runScript(name, args)
    assert.equal(code, 2)
    assert.equal(stdout, '')
    assert.match(stderr, message)
  })
}

test('the benchmark says before it measures anything that its figures cannot be written', async () => {
  const { code, stdout, stderr } = await runScript('bench.ts', ['--json', 'no-such-folder/bench.json'])
  assert.equal(code, 2)
  assert.match(stderr, /^error: --json cannot be written: ENOENT.*no-such-folder\/bench\.json/)
  assert.equal(stdout, '')
})
