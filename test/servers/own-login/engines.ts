// What differs between servers that ask for tokens by themselves.
import mysql from 'mysql2/promise'
import pg from 'pg'
import type { Mysql, MysqlKind } from '../../../kit/src/database/mysql.ts'
import type { Postgres } from '../../../kit/src/database/postgres.ts'
import { createUserSql } from '../../../src/index.ts'
import { createMysqlPool, iamMysql, iamMysqlPool } from '../../../src/mysql2.ts'
import { createPgPool, iamPg, iamPgPool, type RdsIamOptions } from '../../../src/pg.ts'
import { type Db, mysqlDb, pgDb } from '../../support/db.ts'
import { type OwnLogin, startOwnMysql, startOwnPostgres } from '../../support/own-login.ts'
import type { Judge } from '../../support/verifier.ts'

/** How somebody logs in with a driver as it is. */
export interface Attempt {
  readonly user?: string
  /** What is sent where the server asks for a token, or a password. */
  readonly token: string
  /** The authority to trust; without TLS where there is none. */
  readonly ca?: string
}

export interface OwnEngine {
  start(judge: Judge): Promise<OwnLogin>
  /** Makes `jane` by the SQL that AWS documents, and `notes_app` by this package's. */
  createUsers(server: Mysql | Postgres): Promise<unknown>
  readonly middlewares: readonly ((options: RdsIamOptions) => object)[]
  createPool(options: RdsIamOptions): Db & { close(): Promise<void> }
  wrap(db: never): Db
  /** Who is logged in, and whether the server itself sees TLS. */
  look(db: Pick<Db, 'query'>): Promise<{ readonly name: unknown; readonly hasTls: unknown }>
  logIn(port: number, attempt: Attempt): Promise<void>
  /** The server's words for a refused token, and for a login without TLS. */
  readonly refusal: { readonly code: string; readonly message: RegExp }
  readonly refusalWithoutTls: { readonly code: string; readonly message: RegExp }
}

export const postgres: OwnEngine = {
  start: startOwnPostgres,
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
  async createUsers(server) {
    await server.query('CREATE ROLE rds_iam; CREATE USER jane; GRANT rds_iam TO jane')
    for (const statement of createUserSql({ engine: 'postgres', user: 'notes_app' }))
      await server.query(statement)
    await server.query('CREATE DATABASE notes')
  },
  middlewares: [iamPg, iamPgPool],
  createPool(options) {
    const pool = createPgPool(options)
    return { ...pgDb(pool), close: () => pool.close() }
  },
  wrap: pgDb,
  async look(db) {
    const sql = 'SELECT session_user::text AS name, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'
    const [row] = await db.query(sql)
    return { name: row?.name, hasTls: row?.ssl }
  },
  async logIn(port, { user = 'jane', token, ca }) {
    const client = new pg.Client({
      host: 'localhost',
      port,
      user,
      database: 'notes',
      password: token,
      ssl: ca === undefined ? false : { ca },
    })
    client.on('error', () => {})
    await client.connect()
    await client.end()
  },
  refusal: { code: '28000', message: /^PAM authentication failed for user "jane"$/ },
  refusalWithoutTls: { code: '28000', message: /no pg_hba\.conf entry .* user "jane".* no encryption$/ },
}

const accessDenied = {
  code: 'ER_ACCESS_DENIED_ERROR',
  message: /^Access denied for user 'jane'@'(localhost|127\.0\.0\.1)' \(using password: (YES|NO)\)$/,
}

export const mysqlOf = (kind: MysqlKind): OwnEngine => ({
  start: judge => startOwnMysql(kind, judge),
  async createUsers(server) {
    // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
    await server.query(`CREATE USER jane IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'`)
    await server.query(`ALTER USER 'jane'@'%' REQUIRE SSL`)
    for (const statement of createUserSql({ engine: 'mysql', user: 'notes_app' }))
      await server.query(statement)
    await server.query('CREATE DATABASE notes; GRANT ALL ON notes.* TO jane, notes_app')
  },
  middlewares: [iamMysql, iamMysqlPool] as OwnEngine['middlewares'],
  createPool(options) {
    const pool = createMysqlPool(options as never)
    return { ...mysqlDb(pool), close: () => pool.close() }
  },
  wrap: mysqlDb,
  async look(db) {
    const [user] = await db.query('SELECT CURRENT_USER() AS name')
    const [status] = await db.query("SHOW SESSION STATUS LIKE 'Ssl_version'")
    return { name: String(user?.name).replace(/@%$/, ''), hasTls: String(status?.Value).startsWith('TLSv1.') }
  },
  async logIn(port, { user = 'jane', token, ca }) {
    const connection = await mysql.createConnection({
      host: 'localhost',
      port,
      user,
      database: 'notes',
      password: token,
      enableCleartextPlugin: true,
      ...(ca !== undefined && { ssl: { ca, verifyIdentity: true } }),
    } as mysql.ConnectionOptions)
    await connection.end()
  },
  refusal: accessDenied,
  // What REQUIRE SSL says.
  refusalWithoutTls: accessDenied,
})
