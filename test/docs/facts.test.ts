import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { amazonRoots, loadRegionRoots, regions } from 'middy-rds-iam/roots'
import { findInstead } from '../../src/options/misnamed.ts'
import { readSettings } from '../../src/options/settings.ts'
import { readPage } from '../support/pages.ts'

const root = join(import.meta.dirname, '..', '..')
const readSource = (path: string) => readFileSync(join(root, 'src', path), 'utf8')

/** The rows of a page's tables whose first cell begins with a name in code; their cells without padding. */
function rowsOf(path: string): readonly (readonly string[])[] {
  const rows = readPage(path).text.matchAll(/^\| (`.*) \|$/gm)
  return [...rows].map(([, row = '']) => row.split(/ *(?<!\\)\| */).map(cell => cell.trim()))
}

test('the table of options names every option, with the default that the code has', () => {
  const documented = new Map(
    rowsOf('docs/options.md').map(([name = '', text = '']) => [name.slice(1, -1), text]),
  )
  const source = readSource('options/options.ts')
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

test('every error code has a heading of its own', () => {
  const codes = new Set(readSource('errors/rds-iam-error.ts').match(/RDS_IAM_[A-Z_]+/g))
  assert.equal(codes.size, 10)
  const headings = [...readPage('docs/errors.md').text.matchAll(/^## (RDS_IAM_\w+)$/gm)].map(
    match => match[1],
  )
  assert.deepEqual(headings.sort(), [...codes].sort())
})

test('the table of events names every event, with the fields that it has', () => {
  const declared = [...readSource('events/events.ts').matchAll(/extends DatabaseEvent \{\n(.*?)^\}/gms)].map(
    ([, body = '']) => {
      const name = /readonly event: ('[^']+')/.exec(body)?.[1]?.slice(1, -1)
      const fields = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(match => match[1])
      return [name, fields.filter(field => field !== 'event').sort()] as const
    },
  )
  const documented = rowsOf('docs/observability.md')
    .filter(([name = '']) => /^`\w+:/.test(name))
    .map(([name = '', , fields = '']) => {
      const names = [...fields.matchAll(/`(\w+)`/g)].map(match => match[1])
      return [name.slice(1, -1), names.sort()] as const
    })
  assert.deepEqual(documented.toSorted(), declared.toSorted())
})

test('the reasons of a closed connection are those that there are', () => {
  const [, type = ''] = /type ConnectionClosedReason =(.*?)\n\n/s.exec(readSource('events/events.ts')) ?? []
  const declared = [...type.matchAll(/'([^']+)'/g)].map(match => match[1])
  const [paragraph = ''] =
    /^`reason` of `connection:closed`.*?\n\n/ms.exec(readPage('docs/observability.md').text) ?? []
  const named = [...paragraph.matchAll(/`([a-z-]+)`/g)]
    .map(match => match[1])
    .filter(name => name !== 'reason')
  assert.deepEqual(named.toSorted(), declared.toSorted())
})

test('the table of metrics names every metric, with its unit', () => {
  const declared = readSource('events/emit.ts').matchAll(/addMetric\('(\w+)', '?(\w+)'?/g)
  const documented = rowsOf('docs/observability.md').filter(([name = '']) => name.startsWith('`Database'))
  assert.deepEqual(
    documented.map(([name = '', unit]) => [name.slice(1, -1), unit]).toSorted(),
    [...new Map([...declared].map(([, name = '', unit]) => [name, [name, unit]])).values()].toSorted(),
  )
})

test('each option of @middy/rds has in its place what the refusal says', () => {
  const source = readSource('options/misnamed.ts')
  const names = /const ofMiddy.*?^\}/ms.exec(source)?.[0].matchAll(/^ {2}(\w+):/gm)
  const rows = rowsOf('docs/from-middy-rds.md').map(([name = '', text]) => [name.slice(1, -1), text])
  assert.deepEqual(
    rows,
    [...(names ?? [])].map(([, name = '']) => [name, findInstead(name)]),
  )
})

test('the figures of the README are those of the benchmark', () => {
  const row =
    /^\| \[cold start\].*$/m.exec(readPage('README.md').text)?.[0] ?? assert.fail('there is no such row')
  const figures = row.match(/[\d.]+ ms/g) ?? []
  assert.equal(figures.length, 2)
  // The first table is that of pg, whose columns are named above the cold start.
  const [, head = '', measured = ''] =
    /^(\| `pg` .*)\n.*\n(\| cold start, process start to first row.*)$/m.exec(
      readPage('docs/benchmark.md').text,
    ) ?? []
  const [columns, cells] = [head, measured].map(line => line.split('|').map(cell => cell.trim()))
  const cellOf = (column: string) => cells?.[columns?.indexOf(column) ?? -1]
  assert.deepEqual([cellOf('this package'), cellOf('hand-written')], figures)
})

test('the fingerprints are those of the authorities that are built', async () => {
  const carried = [...(await Promise.all(regions.map(loadRegionRoots))), amazonRoots].flat()
  const expected = carried.map(pem => {
    const { subject, fingerprint256, validToDate } = new X509Certificate(pem)
    const name = /CN=(.*)/.exec(subject)?.[1]
    return [name, fingerprint256.replaceAll(':', ''), validToDate.toISOString().slice(0, 10)].join(' ')
  })
  const rows = readPage('docs/authorities.md').text.matchAll(/^\| (.+?) +\| `(\w+)` \| (\S+) +\|$/gm)
  const documented = [...rows].map(([, name, fingerprint, end]) => [name, fingerprint, end].join(' '))
  assert.deepEqual(documented.toSorted(), expected.toSorted())
})
