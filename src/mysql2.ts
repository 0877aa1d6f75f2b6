import type { ConnectionOptions, PoolOptions } from 'mysql2'
import type { Connection, Pool } from 'mysql2/promise'
import { assembleClient, assemblePool } from './assembly.ts'
import { createMysqlDriver, createMysqlPoolDriver } from './drivers/mysql2.ts'
import { mysqlEngine, type OwnedOption } from './engines/mysql.ts'
import type { RdsIamMiddleware } from './middleware.ts'
import type { RdsIamOptions } from './options.ts'

export { RdsIamError, type RdsIamErrorCode } from './errors.ts'
export type { RdsIamMiddleware } from './middleware.ts'
export type {
  AwsCredentials,
  AwsCredentialsProvider,
  RdsIamLogger,
  RdsIamMetrics,
  RdsIamOptions,
  SignerRequest,
  TlsOptions,
  TokenSigner,
} from './options.ts'

/** Options of {@link iamMysql}. */
export interface IamMysqlOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the connection is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of mysql2's connections, for example `{ multipleStatements: true, timezone: 'Z' }`, but for those that this package decides
   * about.
   *
   * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-connection
   */
  readonly client?: Omit<ConnectionOptions, OwnedOption>
}

/** Options of {@link iamMysqlPool}. */
export interface IamMysqlPoolOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the pool is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of mysql2's pool and connections, but for those that this package decides about. mysql2 closes idle connections only where
   * `maxIdle` is less than `max`, after `idleTimeout`.
   *
   * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-pool
   */
  readonly client?: Omit<PoolOptions, OwnedOption>
}

/**
 * A middy middleware that attaches a connected `Connection` of `mysql2/promise` to the handler's context, this invocation's alone,
 * authenticated by an IAM token over verified TLS. The connection is kept for the next invocation of the execution environment.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamMysql({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', database: 'orders' }))
 *   .handler(async (event, context) => (await context.db.query('select now()'))[0])
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamMysql<const Key extends string = 'db'>(
  options?: IamMysqlOptions<Key>,
): RdsIamMiddleware<Key, Connection> {
  return assembleClient({ ...mysqlEngine, middleware: 'iamMysql' }, options, createMysqlDriver)
}

/**
 * A middy middleware that attaches a `Pool` of `mysql2/promise` to the handler's context, whose every new connection authenticates by a
 * valid IAM token over verified TLS. For handlers that run queries side by side.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamMysqlPool({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', database: 'orders', max: 4 }))
 *   .handler(async (event, context) => Promise.all([context.db.query('select 1'), context.db.query('select 2')]))
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamMysqlPool<const Key extends string = 'db'>(
  options?: IamMysqlPoolOptions<Key>,
): RdsIamMiddleware<Key, Pool> {
  return assemblePool({ ...mysqlEngine, middleware: 'iamMysqlPool' }, options, createMysqlPoolDriver)
}
