import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../local/template.ts'
import { compareVersions, oldestOf } from '../../scripts/versions/registry.ts'
import { oldestSet } from '../../scripts/versions/sets.ts'
import { nodeFlags } from '../support/node-process.ts'

/** Runs `npm run test:versions` where npm is what `PATH` leads to. */
function run(args: readonly string[], path: string) {
  const script = join(root, 'scripts', 'test-versions.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, script, ...args], {
    encoding: 'utf8',
    env: { PATH: path },
  })
  return { status, stdout, stderr }
}

test('tests what package.json promises', () => {
  const { versions } = oldestSet()
  assert.deepEqual(Object.keys(versions), ['node', 'pg', 'mysql2', '@middy/core'])
  for (const version of Object.values(versions)) assert.match(version, /^\d+\.\d+\.\d+$/)
  assert.deepEqual([oldestOf('^8.21.0'), oldestOf('>=22.3')], ['8.21.0', '22.3.0'])
  assert.throws(
    () => oldestOf('8.x || 9.x'),
    /package\.json: expected \^1\.2\.3 or >=1\.2, got 8\.x \|\| 9\.x/,
  )
  assert.deepEqual(['8.9.0', '8.21.0', '7.30.1'].sort(compareVersions), ['7.30.1', '8.9.0', '8.21.0'])
})

test('names what the registry does not give, with the reason, and goes on', t => {
  const path = mkdtempSync(join(tmpdir(), 'middy-rds-iam-versions-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  const says =
    '#!/bin/sh\necho "npm error code ENOTFOUND" >&2\necho "npm error network: no such host" >&2\nexit 1\n'
  writeFileSync(join(path, 'npm'), says, { mode: 0o755 })
  const { status, stdout, stderr } = run(['newest', 'types'], path)
  assert.equal(status, 0, stderr)
  assert.match(
    stdout,
    /^Not tested:\n- newest: npm view: network: no such host\n- TypeScript: npm view: network: no such host$/m,
  )
})

test('knows no other names', () => {
  const { status, stderr } = run(['ancient'], '')
  assert.equal(status, 2)
  assert.match(stderr, /there is no ancient; there are oldest, newest, types/)
})
