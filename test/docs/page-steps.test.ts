import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSteps } from '../../scripts/page-steps.ts'
import { pages } from '../support/pages.ts'

const block = (code: string, language = 'sh') => `\`\`\`${language}\n${code}\n\`\`\`\n`

test('marked blocks are run, files are written, and other blocks are left alone', () => {
  const page = [
    block('// handler.ts\nexport {}', 'ts'),
    `<!-- start -->\n\n${block('npx rds-iam dev')}`,
    block('aws rds describe-db-instances'),
    `<!-- run -->\n\n${block('node a.mjs\n# [ 1,\n#   2 ]')}`,
    `<!-- run -->\n\n${block('true')}`,
  ].join('\nText.\n\n')
  assert.deepEqual(readSteps(page), [
    { kind: 'file', name: 'handler.ts', text: '// handler.ts\nexport {}\n' },
    { kind: 'start', command: 'npx rds-iam dev\n' },
    { kind: 'run', command: 'node a.mjs\n', prints: '[ 1,\n  2 ]' },
    { kind: 'run', command: 'true\n', prints: undefined },
  ])
})

test('a mark that marks nothing, and one that there is not, are refused', () => {
  assert.throws(() => readSteps(`<!-- run -->\n\nText.\n\n${block('true')}`), /stands before no block of sh/)
  assert.throws(
    () => readSteps(`<!-- run -->\n\n${block('SELECT 1', 'sql')}`),
    /stands before no block of sh/,
  )
  assert.throws(() => readSteps(`<!-- runs -->\n\n${block('true')}`), /neither run nor start/)
})

test('the README is followed from its installation to the row that its handler reads', () => {
  const { text } = pages.find(({ path }) => path === 'README.md') ?? assert.fail()
  const steps = readSteps(text)
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    ['run', 'file', 'start', 'run', 'run'],
  )
  const call = steps.at(3)
  assert.equal(call?.kind === 'run' && call.prints, '[ { id: 1, customer: 7, total: 12 } ]')
})
