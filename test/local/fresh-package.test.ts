import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { freshenPackage } from '../../local/fresh-package.ts'

/** A project whose build takes a while and counts itself, with sources that are a minute old. */
function makeProject(t: TestContext) {
  const project = mkdtempSync(join(tmpdir(), 'middy-rds-iam-fresh-'))
  t.after(() => rmSync(project, { recursive: true, force: true }))
  const at = (path: string) => join(project, path)
  mkdirSync(at('src/token'), { recursive: true })
  mkdirSync(at('src/sample'))
  mkdirSync(at('scripts'))
  const files = [
    'tsconfig.json',
    'tsconfig.build.json',
    'build.mjs',
    'src/token/token.ts',
    'src/sample/notes.ts',
  ]
  for (const file of files) writeFileSync(at(file), '')
  writeFileSync(at('package.json'), JSON.stringify({ type: 'module', scripts: { build: 'node build.mjs' } }))
  writeFileSync(
    at('build.mjs'),
    `import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
     appendFileSync('builds', 'begun,')
     await new Promise(resolve => setTimeout(resolve, 100))
     mkdirSync('dist', { recursive: true })
     writeFileSync('dist/index.js', '')
     appendFileSync('builds', 'done,')`,
  )
  const before = new Date(Date.now() - 60_000)
  for (const path of ['package.json', 'src', 'src/sample', 'src/token', 'scripts', ...files])
    utimesSync(at(path), before, before)
  return { project, at, builds: () => readFileSync(at('builds'), 'utf8').match(/begun,done,/g)?.length }
}

test('builds once however many ask, and not again while nothing changes', async t => {
  const { project, at, builds } = makeProject(t)
  await Promise.all([freshenPackage(project), freshenPackage(project), freshenPackage(project)])
  assert.equal(readFileSync(at('builds'), 'utf8'), 'begun,done,')
  await freshenPackage(project)
  assert.equal(builds(), 1)
  writeFileSync(at('src/sample/notes.ts'), '// no part of the package')
  await freshenPackage(project)
  assert.equal(builds(), 1)
})

for (const [what, change] of Object.entries<(at: (path: string) => string) => void>({
  'a source is changed': at => writeFileSync(at('src/token/token.ts'), '//'),
  'a source is removed': at => rmSync(at('src/token/token.ts')),
  'a source is added': at => writeFileSync(at('src/token/cache.ts'), ''),
  "the compiler's settings are changed": at => writeFileSync(at('tsconfig.build.json'), '{}'),
  'dist/ is gone': at => rmSync(at('dist'), { recursive: true }),
})) {
  test(`builds again when ${what}`, async t => {
    const { project, at, builds } = makeProject(t)
    await freshenPackage(project)
    const past = new Date(Date.now() - 30_000)
    utimesSync(at('dist/index.js'), past, past)
    await freshenPackage(project)
    assert.equal(builds(), 1)
    change(at)
    await freshenPackage(project)
    assert.equal(builds(), 2)
  })
}

const { pid: ended } = spawnSync(process.execPath, ['--eval', ''])
for (const [what, pid, ageMs] of [
  ['a process that was killed', ended, 0],
  ['a lock that is older than any build', process.pid, 300_000],
] as const) {
  test(`takes over from ${what}`, async t => {
    const { project, at, builds } = makeProject(t)
    const lock = at('.local/package.lock')
    mkdirSync(at('.local'))
    writeFileSync(lock, String(pid))
    const then = new Date(Date.now() - ageMs)
    utimesSync(lock, then, then)
    await freshenPackage(project)
    assert.equal(builds(), 1)
    assert.ok(!existsSync(lock))
  })
}

test('waits for a build that has begun to write', async t => {
  const { project, at, builds } = makeProject(t)
  const building = freshenPackage(project)
  while (!existsSync(at('builds'))) await setImmediate()
  mkdirSync(at('dist'))
  writeFileSync(at('dist/index.js'), '')
  await freshenPackage(project)
  assert.equal(builds(), 1, 'it is done')
  await building
  assert.equal(builds(), 1)
})

test('says what the build has to complain of, and lets the next one try', async t => {
  const { project, at, builds } = makeProject(t)
  const script = readFileSync(at('build.mjs'), 'utf8')
  writeFileSync(at('build.mjs'), `console.log('token.ts(1,1): error TS1005'); process.exit(1)`)
  await assert.rejects(
    freshenPackage(project),
    /^Error: dist\/ is older than src\/.*token\.ts\(1,1\): error TS1005/s,
  )
  writeFileSync(at('build.mjs'), script)
  await freshenPackage(project)
  assert.equal(builds(), 1)
})
