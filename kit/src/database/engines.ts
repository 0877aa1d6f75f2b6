import { startMysql } from './mysql.ts'
import { createMysqlDatabase } from './mysql-database.ts'
import type { MysqlKind, MysqlProgram } from './mysql-program.ts'
import { startPostgres } from './postgres.ts'
import { createPostgresDatabase } from './postgres-database.ts'
import type { Server } from './server.ts'

/** The servers to start, in place of those that are found. */
export interface Programs {
  /** The folder of a PostgreSQL, with its programs in `bin`. */
  readonly postgres?: string | undefined
  readonly mysql?: MysqlProgram | undefined
}

/** What differs between the engines in starting a database. */
export interface Engine {
  /** Who may do everything on the server, and so is no IAM user. */
  readonly superuser: string
  /** Databases that every server has. */
  readonly ownDatabases: readonly string[]
  /** Of a name, in bytes of UTF-8 for PostgreSQL, in characters for MySQL. */
  readonly maxNameLength: number
  /** The environment variables that functions read their database from. */
  readonly variables: Readonly<Record<'host' | 'port' | 'user' | 'database' | 'caFile', string>>
  start(kind: MysqlKind | undefined, programs: Programs): Promise<Server>
  create(server: Server, database: string, users: readonly string[], setup: string): Promise<void>
}

export const engines: Readonly<Record<'postgres' | 'mysql', Engine>> = {
  postgres: {
    superuser: 'postgres',
    ownDatabases: ['postgres', 'template0', 'template1'],
    maxNameLength: 63,
    variables: {
      host: 'PGHOST',
      port: 'PGPORT',
      user: 'PGUSER',
      database: 'PGDATABASE',
      caFile: 'PGSSLROOTCERT',
    },
    start: (_, { postgres }) => startPostgres({ installation: postgres }),
    create: createPostgresDatabase,
  },
  mysql: {
    superuser: 'root',
    ownDatabases: ['mysql', 'information_schema', 'performance_schema', 'sys'],
    maxNameLength: 64,
    variables: {
      host: 'MYSQL_HOST',
      port: 'MYSQL_TCP_PORT',
      user: 'MYSQL_USER',
      database: 'MYSQL_DATABASE',
      caFile: 'MYSQL_SSL_CA',
    },
    start: (kind, { mysql }) => startMysql({ ...(kind !== undefined && { kind }), program: mysql }),
    create: createMysqlDatabase,
  },
}
