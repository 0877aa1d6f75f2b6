import type { Database } from '../database/database.ts'

/** What a shell is to be told for a function to reach a development database. */
export function formatEnvironment(environment: Database['environment'], caFile: string): string {
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
  const { DATABASE_CA: _, ...variables } = environment
  const lines = Object.entries(variables).map(([name, value]) =>
    value === '' ? `unset ${name}` : `export ${name}=${quote(value)}`,
  )
  return `${[...lines, `export DATABASE_CA="$(cat ${quote(caFile)})"`].join('\n')}\n`
}
