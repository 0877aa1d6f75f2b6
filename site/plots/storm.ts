import type { Report } from '../../bench/report.ts'
import { findCell, findTable } from '../../bench/results.ts'
import type { Drawing } from './draw.ts'

/** For example `1000 at 200 a second, full jitter`. */
const rowPattern = /^(\d+) at (\d+) a second, ([^(]+?)(?: \(1:\d+\))?$/
const answers = {
  'The server says': 'server says that it throttles',
  'The server refuses': 'refuses as a wrong policy',
}
const names: Readonly<Record<string, string>> = {
  'full jitter': 'this package (full jitter)',
  exponential: 'without jitter',
  immediate: 'at once again',
}

/** How long until all are connected, by their number: a curve for each strategy. What was stopped has no point. */
export function drawStorm(storm: Report, source: readonly string[]): Drawing {
  const values = Object.entries(answers).flatMap(([title, answer]) => {
    const table = findTable(storm, title)
    return Object.keys(table.rows).flatMap(row => {
      const [, environments, perSecond, strategy = ''] = rowPattern.exec(row) ?? []
      const seconds = findCell(table, row, 'all connected, s')
      if (environments === undefined || typeof seconds !== 'number') return []
      const limit = `${perSecond} new connections a second`
      return [{ answer, limit, environments: Number(environments), strategy: names[strategy], seconds }]
    })
  })
  return {
    title: { text: 'A storm: environments that start at once, simulated', subtitle: [...source] },
    data: { values },
    facet: {
      row: { field: 'answer', type: 'nominal', sort: Object.values(answers), title: null },
      column: { field: 'limit', type: 'nominal', sort: null, title: null },
    },
    spec: {
      width: 190,
      height: 160,
      mark: { type: 'line', point: true },
      encoding: {
        x: {
          field: 'environments',
          type: 'quantitative',
          scale: { type: 'log' },
          title: 'environments',
          axis: { values: [1_000, 10_000, 100_000], format: '~s' },
        },
        y: {
          field: 'seconds',
          type: 'quantitative',
          scale: { type: 'log' },
          title: 'until all are connected, s',
        },
        color: { field: 'strategy', type: 'nominal', sort: null, title: null },
      },
    },
  } as Drawing
}
