import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './template.ts'

export type EngineName = 'postgres' | 'mysql'

export const databaseName = 'notes'
export const userName = 'notes_app'

/**
 * The very SQL that is to be run on RDS for the sample function, as far as a server that is not Amazon's
 * takes it.
 */
export function readSampleSql(engine: EngineName): string {
  const sql = readFileSync(join(root, 'src', 'sample', `notes-${engine}.sql`), 'utf8')
  return engine === 'postgres' ? sql : withoutAws(sql)
}

/**
 * No server but Amazon's has its plugin: here the user has no password, and the gateway, which alone speaks
 * to this server, is what asks for TLS and a token.
 */
function withoutAws(sql: string): string {
  const onAws = [
    " IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
    "ALTER USER 'notes_app'@'%' REQUIRE SSL;",
  ]
  for (const part of onAws) if (!sql.includes(part)) throw new Error(`notes-mysql.sql does not say ${part}`)
  return onAws.reduce((text, part) => text.replace(part, ''), sql)
}
