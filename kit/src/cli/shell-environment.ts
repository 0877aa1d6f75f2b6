import type { Database } from '../database/database.ts'
import { engines } from '../database/engines.ts'

/** What a shell is to be told for a function to reach a development database. */
export function formatEnvironment(environment: Database['environment'], caFile: string): string {
  const { DATABASE_CA: _, ...others } = environment
  // The file may be elsewhere than the database has it.
  const variables = Object.fromEntries(
    Object.entries(others).map(([name, value]) => [name, isCaFile(name) ? caFile : value]),
  )
  const lines = Object.entries(variables).map(([name, value]) =>
    value === '' ? `unset ${name}` : `export ${name}=${quote(value)}`,
  )
  return `${[...lines, `export DATABASE_CA="$(cat ${quote(caFile)})"`].join('\n')}\n`
}

/** A word as a POSIX shell takes it, whatever is in it. */
export const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

function isCaFile(name: string): boolean {
  return Object.values(engines).some(({ variables }) => variables.caFile === name)
}
