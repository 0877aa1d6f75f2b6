import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Report } from './report.ts'

/** What makes the figures of the pages, each in a file of its own that is committed. */
export const commands = {
  postgres: 'npm run bench -- --json bench/results/postgres.json',
  mysql: 'npm run bench -- --engine mysql --json bench/results/mysql.json',
  storm: 'npm run bench -- --storm --json bench/results/storm.json',
} as const

export type ResultsName = keyof typeof commands

/** What was measured; `undefined` where there is no such file. */
export type Results = Readonly<Record<ResultsName, Report | undefined>>

export function readResults(): Results {
  return { postgres: readReport('postgres'), mysql: readReport('mysql'), storm: readReport('storm') }
}

function readReport(name: ResultsName): Report | undefined {
  const file = join(import.meta.dirname, 'results', `${name}.json`)
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report
  } catch (error) {
    throw new Error(
      `bench/results/${name}.json is no JSON: ${(error as Error).message}. Make it: ${commands[name]}`,
    )
  }
}

/** What to run for the figures that are missing, a sentence each. */
export function describeMissing(results: Results): readonly string[] {
  const names = (Object.keys(commands) as ResultsName[]).filter(name => results[name] === undefined)
  return names.map(name => `bench/results/${name}.json is missing: ${commands[name]}`)
}

/** @param title The beginning of it, or what it matches. */
export function findTable(report: Report, title: string | RegExp): Report['tables'][string] {
  const found = Object.keys(report.tables).find(name =>
    typeof title === 'string' ? name.startsWith(title) : title.test(name),
  )
  const table = found === undefined ? undefined : report.tables[found]
  if (!table) throw new Error(`the results have no table ${title}, only ${Object.keys(report.tables)}`)
  return table
}

/** A cell by the names of its row and column; `undefined` where it was left empty. */
export function findCell(
  table: Report['tables'][string],
  row: string,
  column: string,
): number | string | undefined {
  const cells = table.rows[row]
  const index = table.columns.indexOf(column)
  if (!cells || index === -1) throw new Error(`the results have no ${column} of ${row}`)
  return cells[index]
}

/** A cell that is a number. */
export function findNumber(table: Report['tables'][string], row: string, column: string): number {
  const cell = findCell(table, row, column)
  if (typeof cell !== 'number') throw new Error(`${column} of ${row} is ${cell}, and no number`)
  return cell
}
