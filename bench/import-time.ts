import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { median, medianOfRounds } from './median.ts'

/** Median times in milliseconds. */
export interface ImportTimes {
  readonly driver: number
  /** What this package takes beyond the driver, which it imports too. */
  readonly packageBeyond: number
  /** Likewise, until the first token is signed. */
  readonly packageAndTokenBeyond: number
}

/**
 * Times importing the modules of `bench/imports/postgres` or `mysql`, each in a process of its own.
 *
 * @param folder Where they are, as they are or bundled.
 */
export function measureImports(folder: string, rounds: number): ImportTimes {
  const files = ['driver', 'package', 'package-and-token'].map(name => join(folder, `${name}.mjs`))
  // Once unmeasured, so that none is the one that is read from the disk.
  for (const file of files) timeImport(file)
  const times = Array.from({ length: rounds }, () => files.map(timeImport))
  const [driver = [], withPackage = [], withToken = []] = files.map((_, index) =>
    times.map(round => round[index] ?? Number.NaN),
  )
  return {
    driver: median(driver),
    packageBeyond: medianOfRounds(withPackage, driver, (a, b) => a - b),
    packageAndTokenBeyond: medianOfRounds(withToken, driver, (a, b) => a - b),
  }
}

const program =
  'const startedMs = performance.now(); await import(process.argv[1]); console.log(performance.now() - startedMs)'

function timeImport(file: string): number {
  const args = ['--input-type=module', '--eval', program, pathToFileURL(file).href]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}
