import type { Result } from '../test/support/results-reporter.ts'

/** What came of the tests on some servers at once. */
export interface Run {
  /** For example `'PostgreSQL 14.18, MySQL 8.0.15'`. */
  readonly title: string
  readonly results: readonly Result[]
}

/** What is promised, and the files that hold it, of which each counts for the first that it is of. */
const promises: readonly (readonly [string, RegExp])[] = [
  ['drivers do what they do without it', /side-by-side/],
  ['the packages as they are published', /test\/package\.test/],
  ['the types as they are published', /^published types$/],
  ['the gateway, in front of TLS and passwords', /servers\/upstream\.test/],
  ['the gateway', /kit\/test\/gateway\//],
  ['tokens that the server itself asks for', /servers\/own-login\//],
  ['a development database in one call', /kit\/test\/database\//],
  ['a ready connection in each invocation', /servers\/(pg|mysql2|drivers|wrap|global-database)/],
  ["nobody's state is another's", /servers\/isolation\//],
  ['pools and driver options without middy', /servers\/standalone\//],
  ['failures are explained', /servers\/failures\//],
  ['trust', /(servers|unit)\/trust\//],
  ['the token is never seen', /servers\/redaction/],
  ['diagnosis', /servers\/diagnose\//],
  ['users and their SQL', /servers\/(users|database-user)/],
  ['events and metrics', /servers\/(events|metrics)/],
  ['nothing stays behind', /servers\/(shutdown|traps)/],
  ['everything else', /./],
]

/** Prints what holds on which servers, then what failed and what was skipped, each with the reason. */
export function printPromises(runs: readonly Run[]): void {
  const width = Math.max(...promises.map(([promise]) => promise.length))
  const line = (label: string, cells: readonly string[]) =>
    console.log([label.padEnd(width), ...cells.map(cell => cell.padStart(14))].join('  ').trimEnd())
  console.log()
  for (const [index, { title }] of runs.entries()) console.log(`${index + 1}  ${title}`)
  console.log()
  line(
    '',
    runs.map((_, index) => String(index + 1)),
  )
  for (const [promise] of promises) {
    const counts = runs.map(run => run.results.filter(({ file }) => promiseOf(file) === promise))
    if (counts.some(({ length }) => length > 0)) line(promise, counts.map(describeResults))
  }
  console.log('\nHow many tests passed; ✖ of how many that failed, and − of how many that were skipped.')
  console.log(
    '· has no tests there: it is about the gateway, or of no login. By its plugin, or by PAM, a server',
  )
  console.log('asks for tokens itself, and no gateway is before it.')
  for (const [index, run] of runs.entries()) printSkipped(index + 1, run)
}

const promiseOf = (file: string) => promises.find(([, files]) => files.test(file))?.[0]

function describeResults(results: readonly Result[]): string {
  // These tests are not for it.
  if (results.length === 0) return '·'
  const failed = results.filter(result => result.failed !== undefined).length
  const skipped = results.filter(result => result.skipped !== undefined).length
  const parts = [String(results.length - failed - skipped)]
  if (failed > 0) parts.push(`✖${failed}`)
  if (skipped > 0) parts.push(`−${skipped}`)
  return parts.join(' ')
}

function printSkipped(column: number, { results }: Run): void {
  const reasons = new Map<string, number>()
  for (const { skipped } of results)
    if (skipped !== undefined) reasons.set(skipped, (reasons.get(skipped) ?? 0) + 1)
  for (const [reason, count] of reasons) console.log(`− ${column}: ${count} skipped: ${reason}`)
}
