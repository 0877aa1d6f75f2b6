// Writes what was measured into the pages: docs/benchmark.md between its marks, and a row of README.md.
import { budgetTable, coldStartOf, engineTable, outageTable, stormTable, warmTable } from './page-tables.ts'
import type { Report } from './report.ts'
import type { Results } from './results.ts'

type Section = (results: Results) => string | undefined

/** For example `On 2026-11-30, with 2 × AMD EPYC, …`: once where both were made on one machine and day. */
function describeRuns(reports: readonly Report[]): string {
  const runs = new Set(reports.map(({ date, machine }) => `on ${date}, with ${machine}`))
  return [...runs].join(', and ').replace(/^o/, 'O')
}

/** By the name in `<!-- figures: NAME -->`; each ends at `<!-- /figures -->`. */
const sections: Readonly<Record<string, Section>> = {
  machine: ({ postgres, mysql }) => postgres && mysql && `${describeRuns([postgres, mysql])}.`,
  postgres: ({ postgres }) => postgres && engineTable(postgres, 'pg'),
  mysql: ({ mysql }) => mysql && engineTable(mysql, 'mysql2'),
  budgets: ({ postgres, mysql }) => postgres && mysql && budgetTable(postgres, mysql),
  warm: ({ postgres, mysql }) => postgres && mysql && warmTable(postgres, mysql),
  storm: ({ storm }) => storm && stormTable(storm),
  outage: ({ storm }) => storm && outageTable(storm),
  'pictures of the functions': ({ postgres, mysql }) =>
    postgres &&
    mysql &&
    [
      '![Cold starts, until the first invocation and the first invocation](pictures/cold-start.svg)',
      '![Warm invocations](pictures/warm.svg)',
      '![Memory](pictures/memory.svg)',
      '![The first invocation after a connection was closed, or silently dropped](pictures/lost-flow.svg)',
    ].join('\n\n'),
  'pictures of the storm': ({ storm }) =>
    storm &&
    '![How long until all are connected](pictures/storm.svg)\n\n![A wrong policy](pictures/outage.svg)',
}

/** @returns The text of docs/benchmark.md; what was not measured stays as it is. */
export function writeBenchmarkPage(page: string, results: Results): string {
  const found = new Set<string>()
  const written = page.replaceAll(
    /(<!-- figures: (.+?) -->\n)(.*?)(<!-- \/figures -->)/gs,
    (whole, begin: string, name: string, _old: string, end: string) => {
      const section = sections[name]
      if (!section) throw new Error(`docs/benchmark.md: there are no figures "${name}"`)
      found.add(name)
      const text = section(results)
      return text === undefined ? whole : `${begin}\n${text}\n\n${end}`
    },
  )
  for (const name of Object.keys(sections))
    if (!found.has(name)) throw new Error(`docs/benchmark.md has no <!-- figures: ${name} -->`)
  return written
}

/** @returns The text of README.md, whose table has the cold starts with `pg` of this package and by hand. */
export function writeReadme(readme: string, { postgres }: Results): string {
  if (!postgres) return readme
  const figures = coldStartOf(postgres)
  const [row] = /^\| \[cold start\].*$/m.exec(readme) ?? []
  if (row === undefined) throw new Error('README.md has no row of the cold start')
  let index = 0
  return readme.replace(
    row,
    row.replaceAll(/[\d.]+ ms( *)/g, (old: string) => (figures[index++] ?? '').padEnd(old.length)),
  )
}
