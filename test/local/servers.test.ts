import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findNewest } from '../../local/servers/newest.ts'
import { root } from '../../local/template.ts'
import { nodeFlags } from '../support/node-process.ts'

const script = join(root, 'scripts', 'servers.ts')

/** Runs `npm run servers` where there is no package client but what `PATH` leads to. */
function run(args: readonly string[], path: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, script, ...args], {
    encoding: 'utf8',
    env: { PATH: path },
  })
  return { status, stdout, stderr }
}

/** @returns A folder that ends with the test. */
function makeFolder(t: { after(end: () => unknown): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-servers-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const skip =
  (process.platform !== 'linux' || process.arch !== 'x64') && 'servers are fetched for linux-x64 alone'

test('names what cannot be fetched, with the reason, and goes on', { skip }, t => {
  const [folder, path] = [makeFolder(t), makeFolder(t)]
  // Root asks it for the user that servers run as.
  writeFileSync(join(path, 'id'), '#!/bin/sh\necho 65534\n', { mode: 0o755 })
  // What another machine left, or an interrupted run.
  mkdirSync(join(folder, 'postgresql-14', 'bin'), { recursive: true })
  writeFileSync(join(folder, 'postgresql-14', 'bin', 'postgres'), 'no program', { mode: 0o755 })
  const { status, stdout } = run(['postgresql-14', 'mysql-8.0', 'postgresql-npm', '--folder', folder], path)
  assert.equal(status, 0)
  assert.match(stdout, /^postgresql-npm +PostgreSQL \d/)
  assert.match(
    stdout,
    /^postgresql-14 could not be had: mvn is not there; on Debian: apt-get install maven$/m,
  )
  assert.match(stdout, /^mysql-8.0 could not be had: mvn is not there/m)
  assert.deepEqual(readdirSync(folder), ['postgresql-14'], 'nothing half filled is left')
})

test('says in one line why a client failed', { skip }, t => {
  const [folder, path] = [makeFolder(t), makeFolder(t)]
  writeFileSync(join(path, 'id'), '#!/bin/sh\necho 65534\n', { mode: 0o755 })
  const says = '#!/bin/sh\necho "[ERROR] Unknown host central"\necho "[ERROR]"\nexit 1\n'
  writeFileSync(join(path, 'mvn'), says, { mode: 0o755 })
  const { status, stdout } = run(['mysql-8.0', '--folder', folder], `${path}:/bin`)
  assert.deepEqual(
    [status, stdout.trim()],
    [0, 'mysql-8.0 could not be had: mvn ended with 1: [ERROR] Unknown host central'],
  )
})

test('waits for no client that hangs, nor for what that one started', t => {
  const pids = join(makeFolder(t), 'pids')
  const child = JSON.stringify(join(root, 'local', 'servers', 'child.ts'))
  // Its child goes on for longer than the test may take.
  const hang = `trap "" TERM; sleep 300 & echo $! > '${pids}'; wait; wait`
  const text = `import { runChild } from ${child}
    runChild('sh', ['-c', ${JSON.stringify(hang)}], {}, 5000).catch(error => console.log(error.message))`
  const { signal, stdout } = spawnSync(process.execPath, [...nodeFlags, '--input-type=module', '-e', text], {
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  process.kill(Number(readFileSync(pids, 'utf8')), 'SIGKILL')
  assert.deepEqual([signal, stdout], [null, 'sh was ended after 5 s\n'])
})

test('counts tests that could not be run as failed', () => {
  // Of the script's flags, the runner of tests gets each; within a runner, another one runs nothing.
  for (const [flags, env, words] of [
    [['--test-reporter=/nowhere.js'], { NODE_TEST_CONTEXT: undefined }, /ended with [1-9]\d*, after 0 tests/],
    [[], { NODE_TEST_CONTEXT: 'child' }, /ended with 0, after 0 tests/],
  ] as const) {
    const args = [...nodeFlags, ...flags, join(root, 'scripts', 'test-servers.ts'), 'postgresql-npm']
    const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const
    const { status, stdout } = spawnSync(process.execPath, args, options)
    assert.equal(status, 1)
    assert.match(
      stdout,
      new RegExp(`^✖ scripts/test-servers\\.ts: the run\n {2}node --test ${words.source}$`, 'm'),
    )
  }
})

test('knows no other servers', () => {
  const { status, stderr } = run(['oracle'], '')
  assert.equal(status, 2)
  assert.match(stderr, /there is no server "oracle"; there are postgresql-14, /)
})

test('the newest of what was fetched is taken, and what is installed where nothing was', { skip }, t => {
  const folder = makeFolder(t)
  assert.deepEqual(findNewest('mysql', folder), {})
  assert.deepEqual(findNewest('postgres', folder), {})
  // Two that say a version; the newer one is broken afterwards.
  for (const name of ['mysql-newest', 'mariadb-11.8']) {
    const [programs, isMysql] = [join(folder, name, 'bin'), name.startsWith('mysql')]
    const version = `#!/bin/sh\necho Ver ${isMysql ? '9.7.4' : '11.8.9-MariaDB'}\n`
    mkdirSync(programs, { recursive: true })
    writeFileSync(join(programs, isMysql ? 'mysqld' : 'mariadbd'), version, { mode: 0o755 })
  }
  chmodSync(folder, 0o755)
  assert.equal(findNewest('mysql', folder).mysql?.kind, 'mysql')
  writeFileSync(join(folder, 'mysql-newest', 'bin', 'mysqld'), 'no program')
  assert.equal(findNewest('mysql', folder).mysql?.kind, 'mariadb')
})
