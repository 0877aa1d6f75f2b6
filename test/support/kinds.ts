import middy, { type MiddlewareObj } from '@middy/core'
import type { Context } from 'aws-lambda'
import { type IamMysqlOptions, iamMysql, iamMysqlPool } from '../../src/mysql2.ts'
import { iamPg, iamPgPool, type RdsIamOptions } from '../../src/pg.ts'
import { canResetSession, hasMysqlRoles } from './capabilities.ts'
import { findMysqlKinds, type Gate, type TestServer, useMysql, usePostgres } from './database.ts'
import { type Db, mysqlDb, pgDb, type Row } from './db.ts'
import { hasPostgres } from './servers.ts'
import { mysqlSql, postgresSql, type Sql } from './sql.ts'

/** A middleware, on a server. */
export interface Kind {
  /** `iamMysql on MariaDB` for example. */
  readonly name: string
  readonly isPool: boolean
  readonly gate: Gate
  readonly sql: Sql
  readonly hasRoles: boolean
  /** Runs SQL as the superuser, on a connection of its own. */
  administer(sql: string): Promise<readonly Row[]>
  /** Ends sessions at the server. */
  end(sessions: readonly number[]): Promise<unknown>
  /** A handler that does with its connection what it is told. */
  createHandler(options: RdsIamOptions): Handler
  create(options: RdsIamOptions): object
}

export type Handler = (run: (db: Db) => unknown, context: Context) => Promise<unknown>

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

/** Each middleware on one server, for promises in which the server has no part. */
export const oneOfEach = (kinds: readonly Kind[]): readonly Kind[] =>
  kinds.filter(({ create }, index) => kinds.findLastIndex(kind => kind.create === create) === index)

/**
 * Every middleware on every server of this machine.
 *
 * @param isOneEnough Whether one server of MySQL and MariaDB will do.
 */
export async function useKinds(
  isOneEnough = false,
): Promise<{ readonly kinds: readonly Kind[]; readonly missing: string }> {
  const ofPostgres = hasPostgres ? await usePostgresKinds() : []
  const { kinds, missing } = await useMysqlKinds(isOneEnough)
  return { kinds: [...ofPostgres, ...kinds], missing }
}

export async function usePostgresKinds(): Promise<readonly Kind[]> {
  const { postgres, gate } = await usePostgres()
  return [iamPg, iamPgPool].map(create => ({
    name: create.name,
    isPool: create === iamPgPool,
    gate,
    sql: postgresSql,
    hasRoles: true,
    administer: sql => postgres.query(sql, 'notes'),
    end: sessions =>
      postgres.query(`SELECT pg_terminate_backend(pid, 5000) FROM unnest(ARRAY[${sessions}]) AS pid`),
    create,
    createHandler: options => handlerOf(create(options), pgDb),
  }))
}

/** As {@link useKinds} does, for MySQL and MariaDB alone. */
export async function useMysqlKinds(
  isOneEnough = false,
): Promise<{ readonly kinds: readonly Kind[]; readonly missing: string }> {
  const kinds: Kind[] = []
  const { kinds: servers, missing } = findMysqlKinds()
  for (const server of isOneEnough ? servers.slice(-1) : servers) {
    const { mysql, gate } = await useMysql(server)
    const sql = await askSql(mysql)
    const hasRoles = await hasMysqlRoles(mysql.query)
    for (const create of [iamMysql, iamMysqlPool] as ((options: IamMysqlOptions) => object)[]) {
      kinds.push({
        name: `${create.name} on ${server === 'mysql' ? `MySQL ${mysql.version}` : 'MariaDB'}`,
        isPool: create !== iamMysql,
        gate,
        sql,
        hasRoles,
        administer: sql => mysql.query(sql, 'notes'),
        end: async sessions => {
          for (const session of sessions) await mysql.query(`KILL ${session}`)
        },
        create,
        createHandler: options => handlerOf(create(options), mysqlDb),
      })
    }
  }
  return { kinds, missing: isOneEnough && servers.length > 0 ? '' : missing }
}

/** What is asked of a server of MySQL or MariaDB, as far as it can. */
export const askSql = async ({ port }: TestServer): Promise<Sql> => ({
  ...mysqlSql,
  canReset: await canResetSession(port),
})
