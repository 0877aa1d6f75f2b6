// The tables of docs/benchmark.md, in Markdown, from what `npm run bench -- --json FILE` wrote.
import type { Budget, Report } from './report.ts'
import { findCell, findNumber, findTable } from './results.ts'

type Row = readonly string[]

const functions = ['this package', 'by the plugin', 'hand-written', 'common sample', 'floor']
const environments = /execution environments/

/** For example `1 104.1`, `12.8`, `1.34`, `−4.60`: as the benchmark prints it, with the signs of a page. */
export function formatFigure(value: number): string {
  const digits = Number.isInteger(value) ? 0 : Math.abs(value) < 10 ? 2 : 1
  const [whole = '', fraction] = value.toFixed(digits).split('.')
  const grouped = whole.replace('-', '−').replaceAll(/\B(?=(\d{3})+$)/g, ' ')
  return fraction === undefined ? grouped : `${grouped}.${fraction}`
}

/** A table whose columns are as wide as their widest cell, as the formatter has it. */
export function formatTable(head: Row, rows: readonly Row[]): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map(row => row[column]?.length ?? 0)))
  const line = (row: Row) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`
  return [line(head), line(widths.map(width => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

const withUnit = (cell: number | string | undefined, unit: string) =>
  typeof cell === 'number' ? `${formatFigure(cell)} ${unit}`.trim() : (cell ?? '')

/** The cold starts of this package and of the function written by hand. */
export function coldStartOf(report: Report): readonly string[] {
  const table = findTable(report, environments)
  return ['this package', 'hand-written'].map(name =>
    withUnit(findNumber(table, 'cold start: process start to first row, ms', name), 'ms'),
  )
}

/** @param driver For example `pg`. */
export function engineTable(report: Report, driver: string): string {
  const runs = findTable(report, environments)
  const sizes = findTable(report, 'Bundle, minified')
  const row = (label: string, table: typeof runs, name: string, unit: string): Row => [
    label,
    ...functions.map(column => withUnit(findCell(table, name, column), unit)),
  ]
  return formatTable(
    [`\`${driver}\``, ...functions],
    [
      row('cold start, process start to first row', runs, 'cold start: process start to first row, ms', 'ms'),
      row('of it, until the first invocation', runs, '  of it, until the first invocation', 'ms'),
      row('of it, the first invocation', runs, '  of it, the first invocation', 'ms'),
      row(
        'warm invocation through the Runtime API',
        runs,
        'warm invocation through the Runtime API, ms',
        'ms',
      ),
      row('memory after 100 invocations', runs, 'memory after the last one, MB', 'MB'),
      row('connections for 100 invocations', runs, 'connections opened', ''),
      row('bundle, minified, as the template has it', sizes, 'as template.yaml has it', 'kB'),
      row(
        'the same, with only `@aws-sdk/*` and the authorities left out',
        sizes,
        'with only @aws-sdk/* and the authorities left out',
        'kB',
      ),
    ],
  )
}

export function budgetTable(postgres: Report, mysql: Report): string {
  const cells = (budget: Budget | undefined): Row => {
    if (!budget) return ['', '', '']
    const { measured, limit } = budget
    const unit = budget.unit === 'of them' ? '' : budget.unit
    return [withUnit(measured, unit), `${limit} ${unit}`.trim(), measured <= limit ? 'met' : 'missed']
  }
  // A driver's name stands in some of them, which are the same budget otherwise.
  const neutral = ({ what }: Budget) => what.replace(/\b(pg|mysql2)\b/, 'the driver')
  const names = new Set([...postgres.budgets, ...mysql.budgets].map(neutral))
  const rows = [...names].map(name => {
    const of = ({ budgets }: Report) => cells(budgets.find(budget => neutral(budget) === name))
    return [name, ...of(postgres), ...of(mysql)]
  })
  return formatTable(['what', '`pg`', 'limit', '', '`mysql2`', 'limit', ''], rows)
}

/** What the middleware adds to a warm invocation in the process. */
export function warmTable(postgres: Report, mysql: Report): string {
  const added = (report: Report): readonly Row[] => {
    const table = findTable(report, 'Warm in the process')
    return Object.keys(table.rows).map(row => [row, withUnit(findNumber(table, row, 'added'), 'µs')])
  }
  const ofMysql = new Map(added(mysql).map(([row = '', cell = '']) => [row, cell]))
  return formatTable(
    ['added in the process to a warm invocation, without isolation', '`pg`', '`mysql2`'],
    added(postgres).map(([row = '', cell = '']) => [row, cell, ofMysql.get(row) ?? '']),
  )
}

/** Every strategy with a thousand environments; larger storms with this package's alone. */
const isOfPage = (row: string) => !/^\d{5,} .*, (exponential|immediate)/.test(row)

/** How storms end, by what the server answers to those that it turns away. */
export function stormTable(storm: Report): string {
  const throttled = findTable(storm, 'The server says')
  const refused = findTable(storm, 'The server refuses')
  const cells = (table: typeof throttled, row: string) =>
    `${withUnit(findCell(table, row, 'all connected, s'), 's')}, ` +
    `${formatFigure(findNumber(table, row, 'attempts each'))} attempts each, ` +
    `${formatFigure(findNumber(table, row, 'failed'))} failed`
  return formatTable(
    ['environments', 'ideal', 'server says that it throttles', 'server refuses as a wrong policy'],
    Object.keys(throttled.rows)
      .filter(isOfPage)
      .map(row => [
        row.trim(),
        withUnit(findCell(throttled, row, 'ideal, s'), 's'),
        cells(throttled, row),
        row in refused.rows ? cells(refused, row) : '',
      ]),
  )
}

export function outageTable(storm: Report): string {
  const table = findTable(storm, 'A policy is wrong')
  const [all = '', once = ''] = Object.keys(table.rows)
  const rows = [
    ['invocations at once, in the last half minute', 'at once, later', ''],
    ['logins a second, in the last half minute', 'logins/s, later', ''],
    ['the longest invocation of the last half minute', 'worst, s, later', 's'],
    ['until the last invocation has failed, once mended', 'recovered, s', 's'],
  ].map(([label = '', column = '', unit = '']) => [
    label,
    ...[all, once].map(row => withUnit(findCell(table, row, column), unit)),
  ])
  const title = 'a policy is wrong for 60 s, 200 requests a second'
  return formatTable([title, 'tries for all of its time', 'once after a whole time'], rows)
}
