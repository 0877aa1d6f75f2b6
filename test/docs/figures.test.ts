import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writeBenchmarkPage, writeReadme } from '../../bench/page-figures.ts'
import { formatFigure, formatTable } from '../../bench/page-tables.ts'
import { describeMissing, type Results, readResults } from '../../bench/results.ts'
import { readPage } from '../support/pages.ts'
import { engineReport, stormReport } from '../support/report.ts'

/** Nothing but what was measured with `pg`. */
const ofPg: Results = { postgres: engineReport, mysql: undefined, storm: undefined }
const all: Results = { postgres: engineReport, mysql: engineReport, storm: stormReport }

test('the figures of the pages are those of the results', t => {
  const results = readResults()
  const page = readPage('docs/benchmark.md').text
  assert.equal(writeBenchmarkPage(page, results), page, 'npm run plots writes them')
  const readme = readPage('README.md').text
  assert.equal(writeReadme(readme, results), readme, 'npm run plots writes them')
  const missing = describeMissing(results)
  if (missing.length > 0) t.skip(`not all can be compared: ${missing.join('; ')}`)
})

test('the results are those of whole runs, as the page says', () => {
  const { postgres, mysql } = readResults()
  for (const { tables } of [postgres, mysql].filter(report => report !== undefined))
    assert.match(Object.keys(tables).join('\n'), /^40 execution environments/m, 'made with --short')
  assert.match(readPage('docs/benchmark.md').text, /medians of 40 execution\s+environments/)
})

test('a page is written anew where the results differ, and only there', () => {
  const page = readPage('docs/benchmark.md').text
  const written = writeBenchmarkPage(page, ofPg)
  assert.match(written, /^\| cold start, process start to first row +\| 101\.3 ms +\| 99 ms +\| 200 ms /m)
  assert.match(written, /^\| bundle, minified, as the template has it +\| 1 140\.3 kB /m)
  assert.equal(writeBenchmarkPage(written, ofPg), written)
  const ofMysql = /<!-- figures: mysql -->.*?<!-- \/figures -->/s
  assert.equal(ofMysql.exec(written)?.[0], ofMysql.exec(page)?.[0])
})

test('machine and day are said once, or of each engine where they differ', () => {
  const page = readPage('docs/benchmark.md').text
  assert.match(writeBenchmarkPage(page, all), /^On 2000-01-01, with a machine\.$/m)
  const later = { ...all, mysql: { ...engineReport, date: '2000-01-02' } }
  assert.match(
    writeBenchmarkPage(page, later),
    /^On 2000-01-01, with a machine, and on 2000-01-02, with a machine\.$/m,
  )
})

test('budgets of both engines stand in one row, and those that were missed say so', () => {
  const written = writeBenchmarkPage(readPage('docs/benchmark.md').text, all)
  assert.match(
    written,
    /^\| added to a warm invocation.* \| 3\.29 µs +\| 5 µs +\| met +\| 3\.29 µs +\| 5 µs +\| met +\|$/m,
  )
  assert.match(
    written,
    /^\| import and first token beyond the driver, bundled +\| 16 ms +\| 15 ms +\| missed \|/m,
  )
})

test('of a storm that was stopped, the page says that it took longer', () => {
  const written = writeBenchmarkPage(readPage('docs/benchmark.md').text, all)
  assert.match(
    written,
    /^\| 1000 at 200 a second, exponential +\| 5 s +\| 60 s, 40 attempts each, 2 671 failed +\|/m,
  )
  assert.doesNotMatch(written, /10000 at 200 a second, exponential/)
  assert.match(written, /^\| logins a second, in the last half minute +\| 4 156 +\| 200 +\|$/m)
})

test('the cold starts of the README are written with the page', () => {
  const readme = readPage('README.md').text
  const written = writeReadme(readme, ofPg)
  assert.match(written, /^\| \[cold start\].*\| 101\.3 ms +\| 200 ms +\| not measured +\|$/m)
  assert.equal(written.length, readme.length)
})

test('results and marks that do not fit are refused, by name', () => {
  assert.throws(() => writeBenchmarkPage('', all), /has no <!-- figures: machine -->/)
  const strange = '<!-- figures: nothing -->\n<!-- /figures -->'
  assert.throws(() => writeBenchmarkPage(strange, all), /there are no figures "nothing"/)
  const page = readPage('docs/benchmark.md').text
  const empty = { ...all, postgres: { ...engineReport, tables: {} } }
  assert.throws(() => writeBenchmarkPage(page, empty), /the results have no table/)
})

test('figures have as many digits as they can bear, and tables columns of one width', () => {
  const figures = [1104.14, 12.84, 1.344, -4.6, 2671, 0].map(formatFigure)
  assert.deepEqual(figures, ['1 104.1', '12.8', '1.34', '−4.60', '2 671', '0'])
  assert.equal(formatTable(['a', 'bcde'], [['fg']]), '| a   | bcde |\n| --- | ---- |\n| fg  |      |')
})
