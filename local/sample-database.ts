import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../kit/src/database/iam-database.ts'
import { type MysqlKind, startMysql } from '../kit/src/database/mysql.ts'
import { startPostgres } from '../kit/src/database/postgres.ts'
import { root } from './template.ts'

export type EngineName = 'postgres' | 'mysql'

/** A running server that holds the database of a sample function. */
export interface SampleDatabase {
  /** For example `PostgreSQL 18.4` or `MariaDB 10.11.19`. */
  readonly server: string
  readonly port: number
  /** Runs SQL in the sample's database as the superuser. */
  query(sql: string): Promise<Record<string, unknown>[]>
  stop(): Promise<void>
}

export const databaseName = 'notes'
export const userName = 'notes_app'

/**
 * Starts a server and fills it with the very SQL that is to be run on RDS, `notes-postgres.sql` or `notes-mysql.sql`.
 *
 * @param kind Which server it must be for `mysql`; without it, MariaDB or MySQL, whichever is there.
 * @throws {MysqlUnavailable} Where there is no MySQL or MariaDB on this machine.
 */
export function startSampleDatabase(engine: EngineName, kind?: MysqlKind): Promise<SampleDatabase> {
  return engine === 'postgres' ? startPostgresDatabase() : startMysqlDatabase(kind)
}

async function startPostgresDatabase(): Promise<SampleDatabase> {
  const server = await startPostgres()
  return fill(server, async () => {
    await createDatabase(server, databaseName)
    await server.query(readSql('notes-postgres.sql'), databaseName)
    const [row] = await server.query('SHOW server_version')
    return `PostgreSQL ${row?.server_version}`
  })
}

async function startMysqlDatabase(kind: MysqlKind | undefined): Promise<SampleDatabase> {
  const server = await startMysql({ ...(kind !== undefined && { kind }) })
  return fill(server, async () => {
    await server.query(`CREATE DATABASE ${databaseName} CHARACTER SET utf8mb4`)
    await server.query(withoutAws(readSql('notes-mysql.sql')), databaseName)
    return `${server.kind === 'mysql' ? 'MySQL' : 'MariaDB'} ${server.version.split('-', 1)[0]}`
  })
}

interface Server {
  readonly port: number
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>
  stop(): Promise<void>
}

async function fill(server: Server, create: () => Promise<string>): Promise<SampleDatabase> {
  try {
    return {
      server: await create(),
      port: server.port,
      query: sql => server.query(sql, databaseName),
      stop: () => server.stop(),
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

function readSql(file: string): string {
  return readFileSync(join(root, 'src', 'sample', file), 'utf8')
}

/**
 * No server but Amazon's has its plugin: here the user has no password, and the gateway, which alone speaks to this server, is what
 * asks for TLS and a token.
 */
function withoutAws(sql: string): string {
  const onAws = [
    " IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
    "ALTER USER 'notes_app'@'%' REQUIRE SSL;",
  ]
  for (const part of onAws) if (!sql.includes(part)) throw new Error(`notes-mysql.sql does not say ${part}`)
  return onAws.reduce((text, part) => text.replace(part, ''), sql)
}
