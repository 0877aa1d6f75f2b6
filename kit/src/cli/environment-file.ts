import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '../database/database.ts'
import { engines } from '../database/engines.ts'
import { makeFolder, orRefuse, writeWhole } from './kept-files.ts'

/**
 * Writes what the environment of a function has to be to reach a development database, for `. file` in a
 * shell, and for `node --env-file`. Each engine and port has a file of its own, which ends with this process.
 *
 * @param caFile The authority to trust, where it is to be found after a restart, too.
 * @returns The file's path, for example `.rds-iam/postgres-6432.env`.
 */
export function writeEnvironmentFile(folder: string, database: Database, caFile: string): string {
  const path = join(folder, `${database.engine}-${database.port}.env`)
  makeFolder(folder)
  orRefuse(path, () => writeWhole(path, formatEnvironment(database.environment, caFile), 0o600))
  process.once('exit', () => rmSync(path, { force: true }))
  return path
}

function formatEnvironment(environment: Database['environment'], caFile: string): string {
  const lines = Object.entries(environment).map(([name, value]) => {
    const text = isCaFile(name) ? caFile : value
    return text === '' ? `unset ${name}` : `export ${name}=${quoteForShell(text)}`
  })
  return `${lines.join('\n')}\n`
}

/** A text as one word of a shell's. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function isCaFile(name: string): boolean {
  return Object.values(engines).some(({ variables }) => variables.caFile === name)
}
