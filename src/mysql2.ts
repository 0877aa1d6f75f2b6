/**
 * MySQL and MariaDB through `mysql2`: the middlewares, a pool without Middy, and the options for other
 * libraries.
 *
 * @example
 * ```ts
 * import middy from '@middy/core'
 * import { iamMysql } from 'middy-rds-iam/mysql2'
 *
 * export const handler = middy()
 *   .use(iamMysql({ host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app' }))
 *   .handler(async (event, { db }) => (await db.query('select now()'))[0])
 * ```
 * @module middy-rds-iam/mysql2
 */
import type { ConnectionOptions } from 'mysql2'
import type { Connection } from 'mysql2/promise'
import { createMysqlConnect } from './drivers/mysql2/driver.ts'
import { driverOptions } from './drivers/mysql2/options.ts'
import { createMysqlPoolOpener } from './drivers/mysql2/pool.ts'
import { createClientMiddleware, createPoolMiddleware } from './middleware/create.ts'
import type { RdsIamMiddleware } from './middleware/middleware.ts'
import { mysqlEngine } from './options/mysql-engine.ts'
import type {
  CreateMysqlPoolOptions,
  IamMysqlOptions,
  IamMysqlPool,
  IamMysqlPoolOptions,
  MysqlOptionsOptions,
} from './options/mysql2-options.ts'
import type { WrapOption } from './options/options.ts'
import { createDriverOptions } from './standalone/driver-options.ts'
import { createStandalonePool } from './standalone/pool.ts'

export { RdsIamError, type RdsIamErrorCode } from './errors/rds-iam-error.ts'
export type { RdsIamLogger, RdsIamMetrics } from './events/observers.ts'
export type { Closable, RdsIamMiddleware } from './middleware/middleware.ts'
export type {
  CreateMysqlPoolOptions,
  IamMysqlOptions,
  IamMysqlPool,
  IamMysqlPoolOptions,
  MysqlOptionsOptions,
} from './options/mysql2-options.ts'
export type {
  AccessOption,
  RdsIamOptions,
  TargetSessionAttrs,
  TlsOptions,
  WrapOption,
} from './options/options.ts'
export type { AwsCredentials, AwsCredentialsProvider } from './token/credentials.ts'
export type { SignerRequest, TokenSigner } from './token/signer-request.ts'

/**
 * A middy middleware that attaches a connected `Connection` of `mysql2/promise` to the handler's context,
 * this invocation's alone, authenticated by an IAM token over verified TLS. The connection is kept for the
 * next invocation of the execution environment. It does what a connection of `mysql2/promise` does, but that
 * what it calls on behalf of a query runs in the asynchronous context (`AsyncLocalStorage`) that sent the
 * query.
 *
 * @example
 * ```ts
 * import middy from '@middy/core'
 *
 * export const handler = middy()
 *   .use(iamMysql({ host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app', database: 'shop' }))
 *   .handler(async (event, context) => (await context.db.query('select now()'))[0])
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamMysql<const Key extends string = 'db', Wrapped = Connection>(
  options?: IamMysqlOptions<Key> & WrapOption<Connection, Wrapped>,
): RdsIamMiddleware<Key, Wrapped> {
  return createClientMiddleware({ ...mysqlEngine, factory: 'iamMysql' }, options, createMysqlConnect)
}

/**
 * A middy middleware that attaches a `Pool` of `mysql2/promise` to the handler's context, whose every new
 * connection authenticates by a valid IAM token over verified TLS. For handlers that run queries side by
 * side.
 *
 * @example
 * ```ts
 * import middy from '@middy/core'
 *
 * export const handler = middy()
 *   .use(iamMysqlPool({ host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app', max: 4 }))
 *   .handler((event, { db }) => Promise.all([db.query('select 1'), db.query('select 2')]))
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamMysqlPool<const Key extends string = 'db', Wrapped = IamMysqlPool>(
  options?: IamMysqlPoolOptions<Key> & WrapOption<IamMysqlPool, Wrapped>,
): RdsIamMiddleware<Key, Wrapped> {
  return createPoolMiddleware({ ...mysqlEngine, factory: 'iamMysqlPool' }, options, createMysqlPoolOpener)
}

/**
 * A `Pool` of `mysql2/promise` that needs no middy: every new connection authenticates by a valid IAM token
 * over verified TLS, a dead or silent one is replaced when it is asked for, and an idle one does not keep the
 * process alive. It connects when it is first asked to; in Lambda, at once. Its property `pool` is the pool
 * with callbacks.
 *
 * @example
 * ```ts
 * const pool = createMysqlPool({ host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app' })
 * await pool.query('select now()')
 * await pool.close()
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code where a
 * connection is asked for.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function createMysqlPool(options?: CreateMysqlPoolOptions): IamMysqlPool {
  return createStandalonePool({ ...mysqlEngine, factory: 'createMysqlPool' }, options, createMysqlPoolOpener)
}

/**
 * Options of `mysql2` for a library that makes its own connections or pool, such as Knex, Sequelize or
 * TypeORM. Every connection gets a valid token, once its server is verified; a refused token is not given
 * again. They can be copied, and hold no secret.
 *
 * @example
 * ```ts
 * import mysql from 'mysql2/promise'
 *
 * const connection = await mysqlOptions({ host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app' })
 * const pool = mysql.createPool({ ...connection, connectionLimit: 4 })
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where an option is wrong; `RDS_IAM_TRUST` where a bundle leaves
 * the authorities out.
 * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-connection
 */
export function mysqlOptions(options?: MysqlOptionsOptions): Promise<ConnectionOptions> {
  return createDriverOptions({ ...mysqlEngine, factory: 'mysqlOptions' }, options, driverOptions)
}
