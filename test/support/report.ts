import type { Report } from '../../bench/report.ts'

const functions = ['this package', 'by the plugin', 'hand-written', 'common sample', 'floor', 'no database']
const storms = {
  columns: ['all connected, s', 'ideal, s', 'over ideal', 'attempts each', 'worst wait, s', 'failed'],
  rows: {
    '1000 at 200 a second, full jitter': [6, 5, '1.20 ×', 7.5, 6, 0],
    '  the same, 200 in any second (the gateway)': [6, 5, '1.20 ×', 7.5, 6, 0],
    '1000 at 200 a second, exponential': [60, 5, '12.00 ×', 40, 10, 2671],
    '1000 at 200 a second, immediate': [5, 5, '1.00 ×', 60, 5, 0],
    '10000 at 200 a second, full jitter': [55, 50, '1.10 ×', 75, 10, 20_000],
    '10000 at 200 a second, exponential': ['> 60.0', 50, '—', 40, 10, 30_000],
    '100000 at 200 a second, full jitter (1:100)': [500, 500, '1.00 ×', 700, 10, 900_000],
  },
}
const of = { machine: 'a machine', date: '2000-01-01' }

/** Of no run: what the benchmark of one engine would have written. */
export const engineReport: Report = {
  ...of,
  tables: {
    '40 execution environments, 100 invocations each': {
      columns: functions,
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
    'Warm in the process, without isolation, µs': {
      columns: ['this package', 'hand-written', 'added'],
      rows: { 'without a query, right after another': [4, 2, 2] },
    },
    'First invocation without a connection, ms': {
      columns: ['client', 'pool'],
      rows: {
        'a cold connect': [30, 31],
        'after the connection was closed': [20, 21],
        'after its flow was silently dropped': [32, 33],
      },
    },
    'Bundle, minified, kB': {
      columns: functions,
      rows: {
        'as template.yaml has it': [1140.25, 95, 90, 90, 86, 20],
        'with only @aws-sdk/* and the authorities left out': [150],
      },
    },
  },
  budgets: [
    { what: 'added to a warm invocation, without isolation', measured: 3.291, limit: 5, unit: 'µs' },
    { what: 'import and first token beyond pg, bundled', measured: 16, limit: 15, unit: 'ms' },
  ],
}

/** Of no run: what `--storm` would have written. */
export const stormReport: Report = {
  ...of,
  tables: {
    'The server says that it throttles': storms,
    'The server refuses as it does a wrong policy': storms,
    'A policy is wrong for 60 s, 200 requests a second': {
      columns: [
        'at once, most',
        'at once, later',
        'logins/s, first',
        'logins/s, later',
        'worst, s, later',
        'recovered, s',
      ],
      rows: {
        'each invocation tries for all of its time': [1950, 1976, 4100, 4156, 9.96, 6.14],
        'once, after a whole budget of refusals': [1950, 39, 4100, 200, 0.3, 0.21],
      },
    },
  },
  budgets: [],
}
