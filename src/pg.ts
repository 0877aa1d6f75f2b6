import type { Client, Pool } from 'pg'
import { createPgConnect, createPgPoolOpener } from './drivers/pg/driver.ts'
import { createClientMiddleware, createPoolMiddleware } from './middleware/create.ts'
import type { RdsIamMiddleware } from './middleware/middleware.ts'
import type { IamPgOptions, IamPgPoolOptions } from './options/pg-options.ts'
import { postgresEngine } from './options/postgres-engine.ts'

export { RdsIamError, type RdsIamErrorCode } from './errors/rds-iam-error.ts'
export type { RdsIamLogger, RdsIamMetrics } from './events/observers.ts'
export type { RdsIamMiddleware } from './middleware/middleware.ts'
export type { RdsIamOptions, TlsOptions } from './options/options.ts'
export type { IamPgOptions, IamPgPoolOptions } from './options/pg-options.ts'
export type { AwsCredentials, AwsCredentialsProvider } from './token/credentials.ts'
export type { SignerRequest, TokenSigner } from './token/signer-request.ts'

/**
 * A middy middleware that attaches a connected `pg.Client` to the handler's context, this invocation's alone,
 * authenticated by an IAM token over verified TLS. The connection is kept for the next invocation of the
 * execution environment.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamPg({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', database: 'orders' }))
 *   .handler(async (event, context) => (await context.db.query('select now()')).rows)
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamPg<const Key extends string = 'db'>(
  options?: IamPgOptions<Key>,
): RdsIamMiddleware<Key, Client> {
  return createClientMiddleware({ ...postgresEngine, factory: 'iamPg' }, options, createPgConnect)
}

/**
 * A middy middleware that attaches a `pg.Pool` to the handler's context, whose every new connection
 * authenticates by a valid IAM token over verified TLS. For handlers that run queries side by side.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamPgPool({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', max: 4 }))
 *   .handler((event, { db }) => Promise.all([db.query('select 1'), db.query('select 2')]))
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamPgPool<const Key extends string = 'db'>(
  options?: IamPgPoolOptions<Key>,
): RdsIamMiddleware<Key, Pool> {
  return createPoolMiddleware({ ...postgresEngine, factory: 'iamPgPool' }, options, createPgPoolOpener)
}
