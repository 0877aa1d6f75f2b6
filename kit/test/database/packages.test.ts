import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { NotInstalled } from '../../src/database/not-installed.ts'
import { findPackage, loadDriver } from '../../src/database/packages.ts'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'rds-iam-kit-packages-')))
after(() => rmSync(folder, { recursive: true }))

function write(path: string, text: string): string {
  const file = join(folder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

// As an installer leaves them that gives each package only what it asked for.
const manifest = JSON.stringify({ type: 'module', exports: './dist/index.js' })
write('project/node_modules/outer/package.json', manifest)
const outer = write('project/node_modules/outer/dist/index.js', '')
write('project/node_modules/outer/node_modules/@inner/linux/package.json', manifest)
const inner = write('project/node_modules/outer/node_modules/@inner/linux/dist/index.js', '')
write('project/node_modules/driver/index.js', 'module.exports = { name: "driver" }')

test('finds a package in the project that the process stands in, and another one beside that', async () => {
  assert.equal(findPackage('outer'), undefined)
  const before = process.cwd()
  after(() => process.chdir(before))
  process.chdir(join(folder, 'project'))
  assert.equal(findPackage('outer'), outer)
  assert.equal(findPackage('@inner/linux'), undefined)
  assert.equal(findPackage('@inner/linux', [outer]), inner)
  assert.deepEqual(await loadDriver('driver'), { name: 'driver' })
})

test('says what to install where a driver is nowhere', async () => {
  await assert.rejects(loadDriver('no-driver/promise'), error => {
    assert.ok(error instanceof NotInstalled)
    assert.equal(error.message, 'the driver no-driver is not installed: npm install no-driver')
    return true
  })
})
