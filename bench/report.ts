import { cpus, totalmem } from 'node:os'

/** A limit that the project set itself. */
export interface Budget {
  readonly what: string
  readonly measured: number
  readonly limit: number
  readonly unit: '×' | 'µs' | 'ms' | 's' | 'kB' | 'MB' | 'of them'
}

export function printMachine(): void {
  const [cpu] = cpus()
  const memoryGB = (totalmem() / 1e9).toFixed(0)
  console.log(
    `${cpus().length} × ${cpu?.model.trim()}, ${memoryGB} GB, ${process.platform} ${process.arch}, ` +
      `Node.js ${process.versions.node}`,
  )
}

/** Prints a title, a line with the names of the columns, and a line for each row. */
export function printTable(
  title: string,
  columns: readonly string[],
  rows: Readonly<Record<string, readonly (number | string)[]>>,
): void {
  const show = (cell: number | string) => (typeof cell === 'number' ? format(cell) : cell).padStart(15)
  console.log(`\n${title.padEnd(46)}${columns.map(show).join('')}`)
  for (const [name, cells] of Object.entries(rows))
    console.log(`  ${name.padEnd(44)}${cells.map(show).join('')}`)
}

/**
 * Prints each budget as met or missed. A missed one is for a reader to judge: the machine may have been busy.
 */
export function printBudgets(budgets: readonly Budget[]): void {
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
