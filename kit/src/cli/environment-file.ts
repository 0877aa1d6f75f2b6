import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from '../database/database.ts'
import { engines } from '../database/engines.ts'
import { makeFolder, orRefuse, writeWhole } from './kept-files.ts'
import { formatVariables } from './shell.ts'

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
  const variables = Object.entries(environment).map(([name, value]) => [
    name,
    isCaFile(name) ? caFile : value,
  ])
  return formatVariables(Object.fromEntries(variables))
}

function isCaFile(name: string): boolean {
  return Object.values(engines).some(({ variables }) => variables.caFile === name)
}
