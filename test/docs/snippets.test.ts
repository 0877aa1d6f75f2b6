import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { type Page, pages, snippetsOf } from '../support/pages.ts'

const root = join(import.meta.dirname, '..', '..')
const exampleOf = ({ path }: Page) => join(root, 'examples', basename(path, '.md'))
const ofExamples = pages.filter(page => existsSync(exampleOf(page)))

test('every TypeScript snippet compiles as it stands', async () => {
  const snippets = pages.filter(page => !ofExamples.includes(page)).flatMap(page => snippetsOf(page, 'ts'))
  assert.ok(snippets.length >= 25, `there are ${snippets.length}`)
  // Inside the repository, so that the packages that the snippets import are found.
  const folder = join(root, '.local', `snippets-${process.pid}`)
  after(() => rmSync(folder, { recursive: true, force: true }))
  // A page's snippets may import each other.
  for (const [index, { page, code }] of snippets.entries()) {
    const place = join(folder, page.replaceAll('/', '-').replace(/\.md$/, ''))
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, /^\/\/ ([\w.]+\.ts)\n/.exec(code)?.[1] ?? `snippet-${index}.ts`), code)
  }
  const paths = {
    'middy-rds-iam': ['../../src/index.ts'],
    'middy-rds-iam/diagnose/mysql2': ['../../src/diagnose/diagnose-mysql2.ts'],
    'middy-rds-iam/diagnose/pg': ['../../src/diagnose/diagnose-pg.ts'],
    'middy-rds-iam/pg': ['../../src/pg.ts'],
    'middy-rds-iam/mysql2': ['../../src/mysql2.ts'],
    'rds-iam-kit': ['../../kit/src/index.ts'],
  }
  const compilerOptions = { paths, noUnusedLocals: true }
  const include = ['**/*.ts', '../../src/drivers/pg/pg-client.d.ts']
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include }),
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch(({ stdout }) =>
    assert.fail(String(stdout)),
  )
})

for (const page of ofExamples) {
  test(`the snippets of ${page.path} are lines of its example, which is compiled and run`, () => {
    const files = globSync('src/**/*.ts', { cwd: exampleOf(page) }).map(file =>
      linesOf(readFileSync(join(exampleOf(page), file), 'utf8')),
    )
    const snippets = snippetsOf(page, 'ts')
    assert.ok(snippets.length > 0)
    for (const { code } of snippets)
      assert.ok(
        files.some(file => isWithin(linesOf(code), file)),
        `of no file of the example:\n${code}`,
      )
  })
}

function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
}

/** Whether the lines are those of a file, in their order; a page may leave some out. */
function isWithin(lines: readonly string[], file: readonly string[]): boolean {
  let next = 0
  for (const line of file) if (line === lines[next]) next += 1
  return next === lines.length
}
