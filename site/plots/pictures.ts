import type { Report } from '../../bench/report.ts'
import { findNumber, findTable, type Results } from '../../bench/results.ts'
import { type Bar, drawBars, type Panel } from './bars.ts'
import type { Drawing } from './draw.ts'
import { drawStorm } from './storm.ts'

const functions = ['this package', 'by the plugin', 'hand-written', 'common sample', 'floor', 'no database']
const drivers = { postgres: 'pg', mysql: 'mysql2' } as const

type Picture = (results: Results) => Drawing | undefined

/** Every picture of docs/pictures by its name; `undefined` where its results are missing. */
export const pictures: Readonly<Record<string, Picture>> = {
  'cold-start': ofEngines(
    'Cold start: process start to first row; medians of the parts, and of the whole',
    (report, driver) => ({
      title: `${driver}: cold start, ms`,
      bars: functions.map(name => coldStart(report, name)),
    }),
  ),
  warm: ofEngines('Warm invocation with one query, through the Runtime API', (report, driver) =>
    ofRow(report, 'warm invocation through the Runtime API, ms', `${driver}: warm invocation, ms`),
  ),
  memory: ofEngines('Resident memory after 100 invocations', (report, driver) =>
    ofRow(report, 'memory after the last one, MB', `${driver}: memory, MB`),
  ),
  'lost-flow': ofEngines('The first invocation without a connection', lostFlows),
  storm: ({ storm }) => storm && drawStorm(storm, sourceOf(storm)),
  outage: ({ storm }) =>
    storm && drawBars('A policy is wrong for 60 s, 200 requests a second', sourceOf(storm), outage(storm)),
}

/** Machine and date, as they stand in each picture: one line where all were measured on one machine and day. */
function sourceOf(...reports: readonly Report[]): readonly string[] {
  return [...new Set(reports.map(({ machine, date }) => `${machine}; ${date}`))]
}

/** A panel of each engine that was measured. */
function ofEngines(title: string, panelOf: (report: Report, driver: string) => Panel): Picture {
  return ({ postgres, mysql }) =>
    postgres &&
    mysql &&
    drawBars(title, sourceOf(postgres, mysql), [
      panelOf(postgres, drivers.postgres),
      panelOf(mysql, drivers.mysql),
    ])
}

function coldStart(report: Report, name: string): Bar {
  const table = findTable(report, /execution environments/)
  const part = (of: string) => ({ name: of, value: findNumber(table, `  of it, ${of}`, name) })
  return {
    name,
    parts: [part('until the first invocation'), part('the first invocation')],
    total: findNumber(table, 'cold start: process start to first row, ms', name),
  }
}

const single = (name: string, value: number): Bar => ({ name, parts: [{ name: '', value }], total: value })

function ofRow(report: Report, row: string, title: string): Panel {
  const table = findTable(report, /execution environments/)
  return { title, bars: functions.map(name => single(name, findNumber(table, row, name))) }
}

function lostFlows(report: Report, driver: string): Panel {
  const table = findTable(report, 'First invocation without a connection')
  const bars = table.columns.flatMap(kind =>
    Object.keys(table.rows).map(row => single(`${kind}, ${row}`, findNumber(table, row, kind))),
  )
  return { title: `${driver}: the invocation, ms`, bars }
}

function outage(storm: Report): Panel[] {
  const table = findTable(storm, 'A policy is wrong')
  return [
    ['invocations at once, last half of the outage', 'at once, later'],
    ['logins a second, last half of the outage', 'logins/s, later'],
    ['longest invocation, last half of the outage, s', 'worst, s, later'],
    ['until the last one has failed, once mended, s', 'recovered, s'],
  ].map(([title = '', column = '']) => ({
    title,
    bars: Object.keys(table.rows).map(row => single(row, findNumber(table, row, column))),
  }))
}
