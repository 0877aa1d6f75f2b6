import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Processor times in milliseconds, of all threads together. */
export interface ImportTimes {
  /** Node.js itself and the driver. */
  readonly driver: number
  /** What this package takes beyond the driver, which it imports too. */
  readonly packageBeyond: number
  /** Likewise, until the first token is signed. */
  readonly packageAndTokenBeyond: number
}

/**
 * Times importing the modules of `bench/imports/postgres` or `mysql`, each in processes of its own. The least
 * of many is what the work takes; whatever is more, the machine was doing besides.
 *
 * @param folder Where they are, as they are or bundled.
 */
export function measureImports(folder: string, rounds: number): ImportTimes {
  const files = ['driver', 'package', 'package-and-token'].map(name => join(folder, `${name}.mjs`))
  const times = files.map((): number[] => [])
  // By turns, so that a slow spell of the machine falls on all of them.
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, file] of files.entries()) times[index]?.push(timeImport(file))
  }
  const [driver = Number.NaN, withPackage = Number.NaN, withToken = Number.NaN] = times.map(of =>
    Math.min(...of),
  )
  return {
    driver,
    packageBeyond: withPackage - driver,
    packageAndTokenBeyond: withToken - driver,
  }
}

const program =
  'await import(process.argv[1]); const { user, system } = process.cpuUsage(); console.log((user + system) / 1000)'

function timeImport(file: string): number {
  const args = ['--input-type=module', '--eval', program, pathToFileURL(file).href]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}
