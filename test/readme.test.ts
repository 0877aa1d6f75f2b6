import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { readSettings } from '../src/options/settings.ts'

const root = join(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

test('every TypeScript snippet compiles as it stands', async () => {
  const texts = [readme, readFileSync(join(root, 'kit', 'README.md'), 'utf8')]
  const snippets = texts.flatMap(text => [...text.matchAll(/```ts\n(.*?)```/gs)].map(match => match[1] ?? ''))
  assert.ok(snippets.length >= 5)
  // Inside the repository, so that the packages that the snippets import are found.
  const folder = join(root, '.local', `readme-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [index, snippet] of snippets.entries())
    writeFileSync(join(folder, /^\/\/ ([\w.]+\.ts)\n/.exec(snippet)?.[1] ?? `snippet-${index}.ts`), snippet)
  const paths = {
    'middy-rds-iam': ['../../src/index.ts'],
    'middy-rds-iam/diagnose/mysql2': ['../../src/diagnose/diagnose-mysql2.ts'],
    'middy-rds-iam/diagnose/pg': ['../../src/diagnose/diagnose-pg.ts'],
    'middy-rds-iam/pg': ['../../src/pg.ts'],
    'middy-rds-iam/mysql2': ['../../src/mysql2.ts'],
    'rds-iam-kit': ['../../kit/src/index.ts'],
  }
  const compilerOptions = { paths, noUnusedLocals: true }
  const include = ['*.ts', '../../src/drivers/pg/pg-client.d.ts']
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include }),
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch(({ stdout }) =>
    assert.fail(String(stdout)),
  )
})

test('the table of options names every option, with the default that the code has', () => {
  const table = readme.slice(readme.indexOf('## Options'), readme.indexOf('## Run it locally'))
  const documented = new Map(
    [...table.matchAll(/^\| `(\w+)` *\| (.*?) *\|/gm)].map(match => [match[1] ?? '', match[2] ?? '']),
  )
  const source = readFileSync(join(root, 'src', 'options', 'options.ts'), 'utf8')
  const body = source.slice(source.indexOf('export interface RdsIamOptions'))
  const declared = [...body.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(match => match[1])
  assert.deepEqual([...documented.keys()].sort(), [...declared, 'client', 'contextKey'].sort())

  const engine = {
    factory: 'iamPg',
    defaultPort: 5432,
    caVariable: 'PGSSLROOTCERT',
    environment: { host: 'NONE', port: 'NONE', user: 'NONE', database: 'NONE' },
    defaultDatabase: () => '',
    ownedClientOptions: {},
    failures: [],
  }
  const settings = readSettings(engine, { host: 'a.b.eu-west-1.rds.amazonaws.com', user: 'a' })
  for (const [name, text] of documented) {
    const literal = /^`('[^']*'|true|false|\d+)`$/.exec(text)?.[1]
    if (literal === undefined) continue
    const value = JSON.parse(literal.replaceAll("'", '"'))
    assert.equal(settings[name as keyof typeof settings], value, name)
    if (name !== 'contextKey') {
      const [, comment] = new RegExp(`@default (\\S+)\\n[^/]*/\\n  readonly ${name}\\?:`).exec(body) ?? []
      assert.equal(comment, String(value), `@default of ${name}`)
    }
  }
})

test('every error code has a heading, and the address in the error leads to it', () => {
  const source = readFileSync(join(root, 'src', 'errors', 'rds-iam-error.ts'), 'utf8')
  const codes = new Set(source.match(/RDS_IAM_[A-Z_]+/g))
  assert.equal(codes.size, 10)
  const headings = [...readme.matchAll(/^### (RDS_IAM_\w+)$/gm)].map(match => match[1])
  assert.deepEqual(headings.sort(), [...codes].sort())
})

test('every npm script that the README names exists, and so does every file', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const [, name = ''] of readme.matchAll(/npm run ([\w:]+)/g)) assert.ok(name in scripts, name)
  for (const [, path = ''] of readme.matchAll(/\]\(([\w./-]+)\)/g)) readFileSync(join(root, path))
})
