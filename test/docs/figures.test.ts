import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeBenchmarkPage, writeReadme } from '../../bench/page-figures.ts'
import { formatFigure, formatTable } from '../../bench/page-tables.ts'
import type { Report } from '../../bench/report.ts'
import { describeMissing, readResults } from '../../bench/results.ts'
import { readPage } from '../support/pages.ts'

const names = ['this package', 'by the plugin', 'hand-written', 'common sample', 'floor', 'no database']

/** Of no run: what a run with `pg` would have written. */
const report: Report = {
  machine: 'a machine',
  date: '2000-01-01',
  tables: {
    '40 execution environments, 100 invocations each': {
      columns: names,
      rows: {
        'cold start: process start to first row, ms': [101.25, 99, 200, 300, 90, 40],
        '  of it, until the first invocation': [80, 78, 100, 100, 70, 39],
        '  of it, the first invocation': [21, 21, 100, 200, 20, 1],
        'warm invocation through the Runtime API, ms': [1.5, 1.5, 1.25, 12, 1, 0.5],
        'memory after the last one, MB': [68, 68, 72, 80, 60, 50],
        'connections opened': [1, 1, 1, 100, 1, 0],
        'distinct tokens signed': [1, 1, 1, 9, 1, 0],
      },
    },
    'Bundle, minified, kB': {
      columns: names,
      rows: {
        'as template.yaml has it': [1140.25, 95, 90, 90, 86, 20],
        'with only @aws-sdk/* and the authorities left out': [150],
      },
    },
  },
  budgets: [],
}

test('the figures of the pages are those of the results', t => {
  const results = readResults()
  const page = readPage('docs/benchmark.md').text
  assert.equal(writeBenchmarkPage(page, results), page, 'npm run plots writes them')
  const readme = readPage('README.md').text
  assert.equal(writeReadme(readme, results), readme, 'npm run plots writes them')
  const missing = describeMissing(results)
  if (missing.length > 0) t.skip(`not all can be compared: ${missing.join('; ')}`)
})

test('a page is written anew where the results differ, and only there', () => {
  const page = readPage('docs/benchmark.md').text
  const results = { postgres: report, mysql: undefined, storm: undefined }
  const written = writeBenchmarkPage(page, results)
  assert.match(written, /On 2000-01-01, with a machine\./)
  assert.match(written, /^\| cold start, process start to first row +\| 101\.3 ms +\| 99 ms +\| 200 ms /m)
  assert.match(written, /^\| bundle, minified, as the template has it +\| 1 140\.3 kB /m)
  assert.equal(writeBenchmarkPage(written, results), written)
  const ofMysql = /<!-- figures: mysql -->.*?<!-- \/figures -->/s
  assert.equal(ofMysql.exec(written)?.[0], ofMysql.exec(page)?.[0])
})

test('the cold starts of the README are written with the page', () => {
  const readme = readPage('README.md').text
  const written = writeReadme(readme, { postgres: report, mysql: undefined, storm: undefined })
  assert.match(written, /^\| \[cold start\].*\| 101\.3 ms +\| 200 ms +\| not measured +\|$/m)
  assert.equal(written.length, readme.length)
})

test('results and marks that do not fit are refused, by name', () => {
  const results = { postgres: report, mysql: undefined, storm: undefined }
  assert.throws(() => writeBenchmarkPage('', results), /has no <!-- figures: machine -->/)
  const strange = '<!-- figures: nothing -->\n<!-- /figures -->'
  assert.throws(() => writeBenchmarkPage(strange, results), /there are no figures "nothing"/)
  const page = readPage('docs/benchmark.md').text
  const empty = { ...results, postgres: { ...report, tables: {} } }
  assert.throws(() => writeBenchmarkPage(page, empty), /the results have no table/)
})

test('figures have as many digits as they can bear, and tables columns of one width', () => {
  const figures = [1104.14, 12.84, 1.344, -4.6, 2671, 0].map(formatFigure)
  assert.deepEqual(figures, ['1 104.1', '12.8', '1.34', '−4.60', '2 671', '0'])
  assert.equal(formatTable(['a', 'bcde'], [['fg']]), '| a   | bcde |\n| --- | ---- |\n| fg  |      |')
})
