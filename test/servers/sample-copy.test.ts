// The sample by itself: copied out of the repository, beside the package as it is published.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { NotInstalled } from '../../kit/src/database/not-installed.ts'
import { buildFunction } from '../../local/build-function.ts'
import { freshenPackage } from '../../local/fresh-package.ts'
import { startFunction } from '../../local/function-process.ts'
import { engineNames, standInIdentity, startSample, startStack } from '../../local/stack.ts'
import { type FunctionName, readTemplate, root } from '../../local/template.ts'
import type { DiagnosisReport } from '../../src/diagnose/diagnosis-report.ts'

const run = promisify(execFile)
const sample = join(root, 'src', 'sample')
const readme = readFileSync(join(sample, 'README.md'), 'utf8')
const functionNames: readonly FunctionName[] = [
  'PostgresNotesFunction',
  'MysqlNotesFunction',
  'DatabaseUserFunction',
  'DatabaseUserSqlFunction',
]

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-sample-copy-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const project = join(folder, 'project')

const skip = await run('npm', ['ping', '--fetch-retries=0', '--fetch-timeout=10000']).then(
  () => false as const,
  () => 'The registry does not answer: a project of its own cannot be made',
)
if (skip === false) await makeProject()

async function makeProject(): Promise<void> {
  cpSync(sample, join(project, 'src', 'sample'), { recursive: true })
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  writeFileSync(join(project, 'tsconfig.json'), /```json\n(.*?)```/s.exec(readme)?.[1] ?? '')
  await freshenPackage()
  // No scripts: they would build dist/ anew, under the hands of the other tests.
  const pack = ['pack', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', pack, { cwd: root })
  const tarball = join(folder, stdout.trim().split('\n').at(-1) ?? '')
  const named = [...readme.matchAll(/^npm install (.*)$/gm)].flatMap(([, names = '']) => names.split(' '))
  const packages = named.filter(name => !name.startsWith('--'))
  assert.ok(packages.includes('middy-rds-iam') && packages.includes('typescript'))
  const wanted = packages.map(name => (name === 'middy-rds-iam' ? tarball : installedVersion(name)))
  await run(
    'npm',
    ['install', ...wanted, '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'],
    { cwd: project },
  )
}

/** `pg@8.23.1` for example: the version that everything else here is tested with. */
function installedVersion(name: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'))
  return `${name}@${version}`
}

function build(name: FunctionName): Promise<string> {
  return buildFunction(name, readTemplate().Resources[name], project)
}

test('is taken by the compiler, as strictly as its README says', { skip }, async () => {
  const compiler = join(project, 'node_modules', '.bin', 'tsc')
  const complaints = await run(compiler, ['-p', project, '--pretty', 'false'], { cwd: project }).then(
    () => '',
    ({ stdout, message }: { stdout?: string; message: string }) => stdout || message,
  )
  assert.equal(complaints, '')
})

for (const name of functionNames) {
  test(`is bundled for ${name} with the settings of template.yaml, to the same size as here`, {
    skip,
  }, async () => {
    const { Handler } = readTemplate().Resources[name].Properties
    const file = Handler.replace(/\.handler$/, '.mjs')
    const bundle = readFileSync(join(await build(name), file), 'utf8')
    const own = await buildFunction(name, readTemplate().Resources[name])
    const sizes = [bundle, readFileSync(join(own, file), 'utf8')].map(({ length }) => length) as [
      number,
      number,
    ]
    assert.ok(Math.abs(sizes[0] - sizes[1]) <= sizes[1] / 100, sizes.join(', '))
    assert.ok(!bundle.includes(root), 'names the checkout')
  })
}

for (const engine of engineNames) {
  test(`connects and answers every event, on ${engine}`, { skip }, async t => {
    const stack = await startStack(engine).catch((error: unknown) => {
      if (error instanceof NotInstalled) return error
      throw error
    })
    // A machine without this engine's server says so; every other failure to start is one of the test.
    if (stack instanceof NotInstalled) return t.skip(stack.message)
    t.after(() => stack.database.close())
    const notes = await startSample(stack, await build(stack.functionName))
    t.after(() => notes.stop())
    const added = await notes.invoke({ action: 'add', text: 'from a copy' })
    assert.equal(added.error, undefined)
    const listed = await notes.invoke({ action: 'list' })
    assert.deepEqual(listed.payload, [added.payload])
    const who = await notes.invoke({ action: 'whoami' })
    assert.equal((who.payload as { user: string }).user, 'notes_app')
    const diagnosis = await notes.invoke({ action: 'diagnose' })
    assert.equal((diagnosis.payload as DiagnosisReport).ok, true, JSON.stringify(diagnosis))
    return undefined
  })
}

test('loads no other package by middy-rds-iam/database-user before an invocation needs one', {
  skip,
}, async () => {
  const source = `
    import { registerHooks } from 'node:module'
    const urls = []
    registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
    const { createHandlerInsideVpc, createHandlerOutsideVpc } = await import('middy-rds-iam/database-user')
    createHandlerOutsideVpc()
    createHandlerInsideVpc()
    console.log(JSON.stringify(urls))`
  const flags = ['--input-type=module', '--eval', source]
  const { stdout } = await run(process.execPath, flags, { cwd: project })
  const packages = (JSON.parse(stdout) as string[]).flatMap(url =>
    url.startsWith('node:') ? [] : (/.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? url),
  )
  assert.deepEqual(
    [...new Set(packages)].filter(name => !name.startsWith('file:')),
    ['middy-rds-iam'],
  )
})

test('bundles the function for the SQL with one driver alone, and it says which one it lacks', {
  skip,
}, async t => {
  const alone = join(folder, 'alone')
  cpSync(project, alone, { recursive: true })
  rmSync(join(alone, 'node_modules', 'mysql2'), { recursive: true })
  const name = 'DatabaseUserSqlFunction'
  const resource = readTemplate().Resources[name]
  const inner = await startFunction({
    name,
    folder: await buildFunction(name, resource, alone),
    handler: resource.Properties.Handler,
    environment: {
      AWS_REGION: standInIdentity.AWS_REGION,
      STACK_ID: 'stack',
      DATABASE_HOST: 'localhost',
      DATABASE_PORT: '1',
    },
  })
  t.after(() => inner.stop())
  const owner = { stack: 'stack', resource: 'NotesUser', id: 'id' }
  const user = { engine: 'mysql', host: 'localhost', port: 1, database: 'notes', user: 'notes_app' }
  const task = { ...user, owner, action: 'keep', setup: [], grants: [] }
  const { payload } = await inner.invoke({ ...task, master: { username: 'admin', password: 'secret' } })
  const { failed, mayRemain } = payload as { failed: string; mayRemain: boolean }
  assert.match(failed, /^Cannot find package 'mysql2'.*\. Install mysql2 beside middy-rds-iam$/s)
  assert.equal(mayRemain, false)
})
