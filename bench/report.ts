import { cpus, totalmem } from 'node:os'

type Cell = number | string

/** All that a run printed, for a program to read. */
export interface Report {
  /** For example `2 × AMD EPYC, 25 GB, linux x64, Node.js 24.21.0`. */
  readonly machine: string
  /** When it was made, for example `2026-11-30`. */
  readonly date: string
  /** Every table by its title: each row has a cell for each column, but for those that are missing at its end. */
  readonly tables: Readonly<
    Record<
      string,
      { readonly columns: readonly string[]; readonly rows: Readonly<Record<string, readonly Cell[]>> }
    >
  >
  readonly budgets: readonly Budget[]
}

const tables: Record<string, Report['tables'][string]> = {}
const budgetsPrinted: Budget[] = []

/** What was printed until now. */
export function currentReport(): Report {
  return {
    machine: describeMachine(),
    date: new Date().toISOString().slice(0, 10),
    tables,
    budgets: budgetsPrinted,
  }
}

/** A limit that the project set itself. */
export interface Budget {
  readonly what: string
  readonly measured: number
  readonly limit: number
  readonly unit: '×' | 'µs' | 'ms' | 's' | 'kB' | 'MB' | 'of them'
}

function describeMachine(): string {
  const [cpu] = cpus()
  const memoryGB = (totalmem() / 1e9).toFixed(0)
  return (
    `${cpus().length} × ${cpu?.model.trim()}, ${memoryGB} GB, ${process.platform} ${process.arch}, ` +
    `Node.js ${process.versions.node}`
  )
}

export function printMachine(): void {
  console.log(describeMachine())
}

/** Prints a title, a line with the names of the columns, and a line for each row. */
export function printTable(
  title: string,
  columns: readonly string[],
  rows: Readonly<Record<string, readonly Cell[]>>,
): void {
  tables[title] = { columns, rows }
  const show = (cell: Cell) => (typeof cell === 'number' ? format(cell) : cell).padStart(15)
  console.log(`\n${title.padEnd(46)}${columns.map(show).join('')}`)
  for (const [name, cells] of Object.entries(rows))
    console.log(`  ${name.padEnd(44)}${cells.map(show).join('')}`)
}

/**
 * Prints each budget as met or missed. A missed one is for a reader to judge: the machine may have been busy.
 */
export function printBudgets(budgets: readonly Budget[]): void {
  budgetsPrinted.push(...budgets)
  console.log()
  for (const { what, measured, limit, unit } of budgets) {
    const verdict = measured <= limit ? 'met   ' : 'missed'
    console.log(
      `${verdict}  budget ${what.padEnd(56)} measured ${`${format(measured)} ${unit}`.padStart(9)}   limit ${limit} ${unit}`,
    )
  }
}

function format(value: number): string {
  if (Number.isInteger(value)) return String(value)
  return value.toFixed(Math.abs(value) < 10 ? 2 : 1)
}
