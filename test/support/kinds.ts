import middy, { type MiddlewareObj } from '@middy/core'
import type { Context } from 'aws-lambda'
import type pg from 'pg'
import { type IamMysqlOptions, iamMysql, iamMysqlPool } from '../../src/mysql2.ts'
import { iamPg, iamPgPool, type RdsIamOptions } from '../../src/pg.ts'
import { findMysqlKinds, type Gate, useMysql, usePostgres } from './database.ts'

export type Row = Readonly<Record<string, unknown>>

/** What a handler can do with any driver. */
export interface Db {
  /** The client, connection or pool itself. */
  readonly raw: object
  query(sql: string): Promise<readonly Row[]>
  /** One connection: the client itself, or one of the pool's. */
  take(): Promise<{ query(sql: string): Promise<readonly Row[]>; release(): void }>
  end(): Promise<unknown>
}

/** What is asked of a server in its own SQL. */
export interface Sql {
  /** The number of the session, as `value`. */
  readonly session: string
  readonly sleep: string
  /** Changes the session, then tells of it; and what it tells then, and in a session of its own. */
  readonly change: readonly string[]
  readonly look: string
  readonly changed: Row
  readonly clean: Row
  /** Whether the server can put a session back. */
  readonly canReset: boolean
  /** The driver's own code for a query of a table that does not exist. */
  readonly missingTable: string
}

/** A middleware, on a server. */
export interface Kind {
  /** `iamMysql on MariaDB` for example. */
  readonly name: string
  readonly isPool: boolean
  readonly gate: Gate
  readonly sql: Sql
  /** Ends sessions at the server. */
  end(sessions: readonly number[]): Promise<unknown>
  /** A handler that does with its connection what it is told. */
  createHandler(options: RdsIamOptions): Handler
  create(options: RdsIamOptions): object
}

export type Handler = (run: (db: Db) => unknown, context: Context) => Promise<unknown>

const postgresSql: Sql = {
  session: 'SELECT pg_backend_pid() AS value',
  sleep: 'SELECT pg_sleep(30)',
  change: [
    'SET search_path TO nowhere; LISTEN news; CREATE TEMP TABLE mine (x int); SET ROLE rds_iam',
    'SELECT pg_advisory_lock(42)',
  ],
  look: `SELECT current_setting('search_path') AS path, current_user::text AS role,
    (SELECT count(*)::int FROM pg_listening_channels()) AS channels, to_regclass('pg_temp.mine') IS NOT NULL AS temp,
    (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks`,
  changed: { path: 'nowhere', role: 'rds_iam', channels: 1, temp: true, locks: 1 },
  clean: { path: '"$user", public', role: 'notes_app', channels: 0, temp: false, locks: 0 },
  canReset: true,
  missingTable: '42P01',
}

const mysqlSql: Omit<Sql, 'canReset'> = {
  session: 'SELECT CONNECTION_ID() AS value',
  sleep: 'SELECT SLEEP(30)',
  change: [
    "SET @mine = 'x'",
    'SET SESSION wait_timeout = 1234',
    'SET NAMES latin1',
    "SELECT GET_LOCK('news', 0)",
    'USE information_schema',
  ],
  look: `SELECT @mine AS mine, @@wait_timeout = 1234 AS timeout, @@character_set_client AS charset,
    @@collation_connection AS collation, IS_USED_LOCK('news') = CONNECTION_ID() AS locked, DATABASE() AS path`,
  changed: {
    mine: 'x',
    timeout: 1,
    charset: 'latin1',
    collation: 'latin1_swedish_ci',
    locked: 1,
    path: 'information_schema',
  },
  clean: {
    mine: null,
    timeout: 0,
    charset: 'utf8mb4',
    collation: 'utf8mb4_unicode_ci',
    locked: null,
    path: 'notes',
  },
  missingTable: 'ER_NO_SUCH_TABLE',
}

const pgDb = (raw: pg.Client | pg.Pool): Db => {
  const query = async (sql: string) => (await raw.query(sql)).rows
  return {
    raw,
    query,
    end: () => raw.end(),
    async take() {
      if (!('totalCount' in raw)) return { query, release() {} }
      const client = await raw.connect()
      return { query: async sql => (await client.query(sql)).rows, release: () => client.release() }
    },
  }
}

interface Queryable {
  query(sql: string): Promise<readonly [unknown, ...unknown[]]>
}

const mysqlDb = (
  raw: Queryable & { end(): Promise<void>; getConnection?(): Promise<Queryable & { release(): void }> },
): Db => {
  const query = async (sql: string) => (await raw.query(sql))[0] as readonly Row[]
  return {
    raw,
    query,
    end: () => raw.end(),
    async take() {
      if (raw.getConnection === undefined) return { query, release() {} }
      const connection = await raw.getConnection()
      return {
        query: async sql => (await connection.query(sql))[0] as readonly Row[],
        release: () => connection.release(),
      }
    },
  }
}

/** Runs in the handler what the event is. */
function handlerOf(middleware: object, wrap: (db: never) => Db): Handler {
  const handler = middy<(db: Db) => unknown>()
    .use(middleware as MiddlewareObj)
    .handler((run, context) => run(wrap((context as unknown as { db: never }).db)))
  return (run, context) => handler(run, context as never)
}

/** The number of a handler's session. */
export const sessionOf = (sql: Sql) => async (db: Pick<Db, 'query'>) =>
  Number((await db.query(sql.session))[0]?.value)

/** Every middleware on every server of this machine. */
export async function useKinds(): Promise<{ readonly kinds: readonly Kind[]; readonly missing: string }> {
  const { postgres, gate } = await usePostgres()
  const kinds: Kind[] = []
  for (const create of [iamPg, iamPgPool]) {
    kinds.push({
      name: create.name,
      isPool: create === iamPgPool,
      gate,
      sql: postgresSql,
      end: sessions =>
        postgres.query(`SELECT pg_terminate_backend(pid, 5000) FROM unnest(ARRAY[${sessions}]) AS pid`),
      create,
      createHandler: options => handlerOf(create(options), pgDb),
    })
  }
  const { kinds: servers, missing } = findMysqlKinds()
  for (const server of servers) {
    const { mysql, gate } = await useMysql(server)
    for (const create of [iamMysql, iamMysqlPool] as ((options: IamMysqlOptions) => object)[]) {
      kinds.push({
        name: `${create.name} on ${server === 'mysql' ? `MySQL ${mysql.version}` : 'MariaDB'}`,
        isPool: create !== iamMysql,
        gate,
        sql: { ...mysqlSql, canReset: !/^5\.[56]\./.test(mysql.version) },
        end: async sessions => {
          for (const session of sessions) await mysql.query(`KILL ${session}`)
        },
        create,
        createHandler: options => handlerOf(create(options), mysqlDb),
      })
    }
  }
  return { kinds, missing }
}
