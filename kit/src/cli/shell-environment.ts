import type { Database } from '../database/database.ts'
import { engines } from '../database/engines.ts'

/** What a shell is to be told for a function to reach a development database. */
export function formatEnvironment(environment: Database['environment'], caFile: string): string {
  const { DATABASE_CA: _, ...others } = environment
  // The file may be elsewhere than the database has it.
  const variables = Object.fromEntries(
    Object.entries(others).map(([name, value]) => [name, isCaFile(name) ? caFile : value]),
  )
  return `${formatVariables(variables)}export DATABASE_CA="$(cat ${quote(caFile)})"\n`
}

/** Environment variables as commands for a shell; an empty one is unset. */
export function formatVariables(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => (value === '' ? `unset ${name}\n` : `export ${name}=${quote(value)}\n`))
    .join('')
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** A word as a POSIX shell takes it, whatever is in it. */
export const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

function isCaFile(name: string): boolean {
  return Object.values(engines).some(({ variables }) => variables.caFile === name)
}
