import type { Connection, Pool } from 'mysql2/promise'
import { createMysqlConnect, createMysqlPoolOpener } from './drivers/mysql2/driver.ts'
import { createClientMiddleware, createPoolMiddleware } from './middleware/create.ts'
import type { RdsIamMiddleware } from './middleware/middleware.ts'
import { mysqlEngine } from './options/mysql-engine.ts'
import type { IamMysqlOptions, IamMysqlPoolOptions } from './options/mysql2-options.ts'

export { RdsIamError, type RdsIamErrorCode } from './errors/rds-iam-error.ts'
export type { RdsIamLogger, RdsIamMetrics } from './events/observers.ts'
export type { RdsIamMiddleware } from './middleware/middleware.ts'
export type { IamMysqlOptions, IamMysqlPoolOptions } from './options/mysql2-options.ts'
export type { RdsIamOptions, TlsOptions } from './options/options.ts'
export type { AwsCredentials, AwsCredentialsProvider } from './token/credentials.ts'
export type { SignerRequest, TokenSigner } from './token/signer-request.ts'

/**
 * A middy middleware that attaches a connected `Connection` of `mysql2/promise` to the handler's context,
 * this invocation's alone, authenticated by an IAM token over verified TLS. The connection is kept for the
 * next invocation of the execution environment.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamMysql({ host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app', database: 'shop' }))
 *   .handler(async (event, context) => (await context.db.query('select now()'))[0])
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamMysql<const Key extends string = 'db'>(
  options?: IamMysqlOptions<Key>,
): RdsIamMiddleware<Key, Connection> {
  return createClientMiddleware({ ...mysqlEngine, factory: 'iamMysql' }, options, createMysqlConnect)
}

/**
 * A middy middleware that attaches a `Pool` of `mysql2/promise` to the handler's context, whose every new
 * connection authenticates by a valid IAM token over verified TLS. For handlers that run queries side by
 * side.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamMysqlPool({ host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app', max: 4 }))
 *   .handler((event, { db }) => Promise.all([db.query('select 1'), db.query('select 2')]))
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamMysqlPool<const Key extends string = 'db'>(
  options?: IamMysqlPoolOptions<Key>,
): RdsIamMiddleware<Key, Pool> {
  return createPoolMiddleware({ ...mysqlEngine, factory: 'iamMysqlPool' }, options, createMysqlPoolOpener)
}
