import { setTimeout } from 'node:timers/promises'
import type { MysqlKind } from '../../kit/src/database/mysql.ts'
import { createMysqlDatabase } from '../../kit/src/database/mysql-database.ts'
import { createPostgresDatabase } from '../../kit/src/database/postgres-database.ts'
import { startMysql, startPostgres } from '../support/servers.ts'
import { mysqlSql, postgresSql, type Sql } from '../support/sql.ts'

/** A real server with the database of the faults in it. */
export interface Server {
  /** For example `PostgreSQL 18.4`. */
  readonly name: string
  readonly port: number
  readonly pid: number
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>
  stop(): Promise<void>
}

/** What differs between the servers. */
export interface Engine {
  /** `MariaDB` for example. */
  readonly name: string
  readonly protocol: 'postgres' | 'mysql'
  /** The file of the function under fault, and its middlewares. */
  readonly file: string
  readonly middlewares: readonly string[]
  /** The file of the function without middy, and what makes the pool of its module. */
  readonly bareFile: string
  readonly standalone: string
  readonly sql: Sql
  /** Counts the transactions that the user has open, as `count`. */
  readonly openTransactions: string
  /** Counts the sessions that ended without a word of their client, as `count`. */
  readonly abortedSessions: string
  /** Counts the sessions of the user, as `count`. */
  readonly sessions: string
  /** Takes a few milliseconds. */
  readonly pause: string
  /** @param name What the server says that it is called. */
  start(name: string, port?: number): Promise<Server>
  endSessions(server: Server): Promise<void>
  setReadOnly(server: Server, isReadOnly: boolean): Promise<void>
  /** Lets the user have so many sessions; nothing for as many as there is room for. */
  limitSessions(server: Server, count: number | undefined): Promise<void>
}

export const database = 'notes'
export const otherDatabase = 'stock'
export const user = 'notes_app'

const tables = (name: string) => [
  'CREATE TABLE note (text varchar(20))',
  'CREATE TABLE place (name varchar(20))',
  `INSERT INTO place VALUES ('${name}')`,
]

export const postgresEngine: Engine = {
  name: 'PostgreSQL',
  protocol: 'postgres',
  file: 'pg',
  middlewares: ['iamPg', 'iamPgPool'],
  bareFile: 'pg-pool',
  standalone: 'createPgPool',
  sql: postgresSql,
  openTransactions: `SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = '${user}' AND state LIKE 'idle in%'`,
  abortedSessions: `SELECT sessions_abandoned AS count FROM pg_stat_database WHERE datname = '${database}'`,
  sessions: `SELECT count(*)::int AS count FROM pg_stat_activity WHERE usename = '${user}'`,
  pause: 'SELECT pg_sleep(0.01)',
  async start(name, port) {
    const server = await startPostgres(port === undefined ? {} : { port })
    await createPostgresDatabase(server, database, [user])
    await server.query(`CREATE DATABASE ${otherDatabase}`)
    for (const [at, called] of [
      [database, name],
      [otherDatabase, `${name} stock`],
    ] as const)
      await server.query([...tables(called), `GRANT ALL ON note, place TO ${user}`].join(';'), at)
    return server
  },
  async endSessions(server) {
    await server.query(
      `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '${user}'`,
    )
  },
  async setReadOnly(server, isReadOnly) {
    await server.query(`ALTER SYSTEM SET default_transaction_read_only = ${isReadOnly}`)
    await server.query('SELECT pg_reload_conf()')
  },
  async limitSessions(server, count = -1) {
    await server.query(`ALTER ROLE ${user} CONNECTION LIMIT ${count}`)
  },
}

export const mysqlEngine = (kind: MysqlKind): Engine => ({
  name: kind === 'mysql' ? 'MySQL' : 'MariaDB',
  protocol: 'mysql',
  file: 'mysql2',
  middlewares: ['iamMysql', 'iamMysqlPool'],
  bareFile: 'mysql2-pool',
  standalone: 'createMysqlPool',
  // MySQL 5.6, which npm has, cannot put a session back: the connection is closed instead, so it is clean there too.
  sql: { ...mysqlSql, canReset: kind === 'mariadb' },
  openTransactions: 'SELECT COUNT(*) AS count FROM information_schema.innodb_trx',
  abortedSessions: `SELECT variable_value AS count FROM information_schema.global_status WHERE variable_name = 'ABORTED_CLIENTS'`,
  sessions: `SELECT COUNT(*) AS count FROM information_schema.processlist WHERE user = '${user}'`,
  pause: 'SELECT SLEEP(0.01)',
  async start(name, port) {
    const server = await startMysql(port === undefined ? { kind } : { kind, port })
    await createMysqlDatabase(server, database, [user])
    await server.query(`CREATE DATABASE ${otherDatabase} CHARACTER SET utf8mb4`)
    await server.query(`GRANT ALL PRIVILEGES ON ${otherDatabase}.* TO '${user}'@'%'`)
    for (const [at, called] of [
      [database, name],
      [otherDatabase, `${name} stock`],
    ] as const)
      for (const statement of tables(called)) await server.query(statement, at)
    return server
  },
  async endSessions(server) {
    const sessions = await server.query(
      `SELECT id AS id FROM information_schema.processlist WHERE user = '${user}'`,
    )
    // One may have ended by itself meanwhile.
    for (const { id } of sessions) await server.query(`KILL ${id}`).catch(() => {})
  },
  async setReadOnly(server, isReadOnly) {
    await server.query(`SET GLOBAL read_only = ${isReadOnly ? 'ON' : 'OFF'}`)
  },
  async limitSessions(server, count = 0) {
    await server.query(`GRANT USAGE ON *.* TO '${user}'@'%' WITH MAX_USER_CONNECTIONS ${count}`)
  },
})

/** All that functions under fault have their connections from. */
export const kindsOf = ({ middlewares, standalone }: Engine): readonly string[] => [
  ...middlewares,
  standalone,
]

/** The number that a query of `engine` counts. */
export async function countOf(server: Server, query: string): Promise<number> {
  const [row] = await server.query(query)
  return Number(row?.count)
}

/** Waits until a query of `engine` counts nothing. */
export async function waitForNone(server: Server, query: string): Promise<void> {
  // MySQL waits 30 s (net_read_timeout) for the rest of a file that nobody sends any more.
  const untilMs = Date.now() + 40_000
  while ((await countOf(server, query)) > 0) {
    if (Date.now() > untilMs) throw new Error(`there are still some: ${query}`)
    // Who reads innodb_trx more often than every 100 ms reads the same rows again, for ever.
    await setTimeout(150)
  }
}

/** What an invocation asks: which session and which server answers, that it computes, and what earlier invocations left. */
export function question({ sql }: Engine, number: number): string {
  const session = sql.session.replace(/ AS value$/, ' AS session')
  return `${session}, ${number} * 2 AS answer, (SELECT COUNT(*) FROM note) AS notes, (SELECT name FROM place) AS place`
}
