import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readManifest, root } from '../../scripts/packages.ts'
import { type Documented, findLacking } from '../../scripts/reference/documented.ts'
import { readEntries, referenceFolder } from '../../scripts/reference/entries.ts'
import { compileExamples, completeExample, readExamples } from '../../scripts/reference/examples.ts'
import { findStale } from '../../scripts/reference/pages.ts'

const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-reference-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const example = (text: string) => ({ blockTags: [{ tag: '@example', content: [{ text }] }] })
const fence = (code: string) => `\`\`\`ts\n${code}\n\`\`\``

/** An entry as TypeDoc describes it, with one export of each of the kinds that differ here. */
function entryWith(endpointExample: string): Documented {
  return {
    name: 'middy-rds-iam/identifiers',
    kind: 2,
    comment: example(fence("import { isIpAddress } from 'middy-rds-iam/identifiers'\nisIpAddress('::1')")),
    children: [
      { name: 'isIpAddress', kind: 64, signatures: [{ comment: example(fence("isIpAddress('::1')")) }] },
      { name: 'Endpoint', kind: 256, comment: example(fence(endpointExample)) },
      { name: 'hostProblem', kind: 64, signatures: [{}] },
      { name: 'RdsIamError', kind: 4_194_304 },
    ],
  }
}

test('each entry of both packages has its page, under the name that is imported', () => {
  const names = [root, join(root, 'kit')].flatMap(path => {
    const { name, exports } = readManifest(path)
    return Object.keys(exports).map(entry => `${name}${entry.slice(1)}`)
  })
  const entries = readEntries().map(({ name }) => name.replace('/eu-west-1', '/*'))
  assert.deepEqual(
    entries,
    names.filter(name => !name.endsWith('/package.json')),
  )
  for (const { name } of readEntries())
    assert.match(readFileSync(join(referenceFolder, `${name}.md`), 'utf8'), new RegExp(`^# ${name}\n`), name)
})

test('an entry or export without an example is named, and what another page documents is not', () => {
  assert.deepEqual(findLacking([entryWith('{}')]), ['middy-rds-iam/identifiers hostProblem has no @example'])
  assert.deepEqual(findLacking([{ name: 'middy-rds-iam/pg', kind: 2 }]), ['middy-rds-iam/pg has no @example'])
})

test('an option that may be left out and has no default is named', () => {
  const port = { name: 'port', kind: 1024, flags: { isOptional: true } }
  const host = { ...port, name: 'host', comment: { blockTags: [{ tag: '@default', content: [] }] } }
  const user = { ...port, name: 'user', flags: {} }
  const options = { name: 'IamPgOptions', kind: 256, comment: example('{}'), children: [port, host, user] }
  const module = { name: 'middy-rds-iam/pg', kind: 2, comment: example('1'), children: [options] }
  assert.deepEqual(findLacking([module]), ['middy-rds-iam/pg IamPgOptions.port has no @default'])
})

test('an example imports from its own entry what it uses and does not import itself', () => {
  const modules = readExamples([entryWith("{ host: 'a', port: 1 }")]).map(completeExample)
  assert.match(modules[0] ?? '', /^import { {2}} from 'middy-rds-iam\/identifiers'\nimport { isIpAddress }/)
  assert.match(modules[1] ?? '', /^import { isIpAddress } from 'middy-rds-iam\/identifiers'\nisIpAddress/)
  assert.match(modules[2] ?? '', /^import { Endpoint } from .*\nexport const example: Endpoint = { host: 'a'/)
})

test('an example that does not compile is named, with what the compiler says', () => {
  assert.equal(compileExamples(readExamples([entryWith("{ host: 'a', port: 1 }")])), '')
  const said = compileExamples(readExamples([entryWith("{ host: 'a', port: '1' }")]))
  assert.match(said, /^middy-rds-iam\/identifiers Endpoint\(.*'string' is not assignable to type 'number'/)
})

test('a page that is missing, stale or left over is named', () => {
  const write = (name: string, pages: Readonly<Record<string, string>>): string => {
    const path = join(folder, name)
    mkdirSync(join(path, 'inner'), { recursive: true })
    for (const [page, text] of Object.entries(pages)) writeFileSync(join(path, page), text)
    return path
  }
  const made = write('made', { 'same.md': 'a', 'inner/other.md': 'new', 'added.md': 'a' })
  const committed = write('committed', { 'same.md': 'a', 'inner/other.md': 'old', 'gone.md': 'a' })
  assert.deepEqual(findStale(committed, made), [
    'added.md is missing',
    'inner/other.md is stale',
    'gone.md is left over',
  ])
  assert.deepEqual(findStale(made, made), [])
  assert.equal(findStale(join(folder, 'nowhere'), made).length, 3)
})
