/**
 * PostgreSQL through `pg`: the middlewares, a pool without Middy, and the options for other libraries.
 *
 * @example
 * ```ts
 * import middy from '@middy/core'
 * import { iamPg } from 'middy-rds-iam/pg'
 *
 * export const handler = middy()
 *   .use(iamPg({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app' }))
 *   .handler(async (event, { db }) => (await db.query('select now()')).rows)
 * ```
 * @module middy-rds-iam/pg
 */
import type { Client } from 'pg'
import { createPgConnect } from './drivers/pg/driver.ts'
import { type DriverOptions, driverOptions } from './drivers/pg/options.ts'
import { createPgPoolOpener } from './drivers/pg/pool.ts'
import { createClientMiddleware, createPoolMiddleware } from './middleware/create.ts'
import type { RdsIamMiddleware } from './middleware/middleware.ts'
import type { WrapOption } from './options/options.ts'
import type {
  CreatePgPoolOptions,
  IamPgOptions,
  IamPgPool,
  IamPgPoolOptions,
  PgOptionsOptions,
} from './options/pg-options.ts'
import { postgresEngine } from './options/postgres-engine.ts'
import { createDriverOptions } from './standalone/driver-options.ts'
import { createStandalonePool } from './standalone/pool.ts'

export { RdsIamError, type RdsIamErrorCode } from './errors/rds-iam-error.ts'
export type { RdsIamLogger, RdsIamMetrics } from './events/observers.ts'
export type { Closable, RdsIamMiddleware } from './middleware/middleware.ts'
export type {
  AccessOption,
  RdsIamOptions,
  TargetSessionAttrs,
  TlsOptions,
  WrapOption,
} from './options/options.ts'
export type {
  CreatePgPoolOptions,
  IamPgOptions,
  IamPgPool,
  IamPgPoolOptions,
  PgOptionsOptions,
} from './options/pg-options.ts'
export type { AwsCredentials, AwsCredentialsProvider } from './token/credentials.ts'
export type { SignerRequest, TokenSigner } from './token/signer-request.ts'

/**
 * A middy middleware that attaches a connected `pg.Client` to the handler's context, this invocation's alone,
 * authenticated by an IAM token over verified TLS. The connection is kept for the next invocation of the
 * execution environment. It does what a `pg.Client` does, but that it listens for `error` and `notice` itself
 * and that what it calls on behalf of a query runs in the asynchronous context (`AsyncLocalStorage`) that
 * sent the query.
 *
 * @example
 * ```ts
 * import middy from '@middy/core'
 *
 * export const handler = middy()
 *   .use(iamPg({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', database: 'orders' }))
 *   .handler(async (event, context) => (await context.db.query('select now()')).rows)
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamPg<const Key extends string = 'db', Wrapped = Client>(
  options?: IamPgOptions<Key> & WrapOption<Client, Wrapped>,
): RdsIamMiddleware<Key, Wrapped> {
  return createClientMiddleware({ ...postgresEngine, factory: 'iamPg' }, options, createPgConnect)
}

/**
 * A middy middleware that attaches a `pg.Pool` to the handler's context, whose every new connection
 * authenticates by a valid IAM token over verified TLS. For handlers that run queries side by side.
 *
 * @example
 * ```ts
 * import middy from '@middy/core'
 *
 * export const handler = middy()
 *   .use(iamPgPool({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', max: 4 }))
 *   .handler((event, { db }) => Promise.all([db.query('select 1'), db.query('select 2')]))
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the
 * handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamPgPool<const Key extends string = 'db', Wrapped = IamPgPool>(
  options?: IamPgPoolOptions<Key> & WrapOption<IamPgPool, Wrapped>,
): RdsIamMiddleware<Key, Wrapped> {
  return createPoolMiddleware({ ...postgresEngine, factory: 'iamPgPool' }, options, createPgPoolOpener)
}

/**
 * A `pg.Pool` that needs no middy: every new connection authenticates by a valid IAM token over verified TLS,
 * a dead or silent one is replaced when it is asked for, and an idle one does not keep the process alive. It
 * connects when it is first asked to; in Lambda, at once.
 *
 * @example
 * ```ts
 * const pool = createPgPool({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app' })
 * await pool.query('select now()')
 * await pool.close()
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code where a
 * connection is asked for.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function createPgPool(options?: CreatePgPoolOptions): IamPgPool {
  return createStandalonePool({ ...postgresEngine, factory: 'createPgPool' }, options, createPgPoolOpener)
}

/**
 * What `pgOptions` gives: options of pg's `Client` and `Pool`.
 *
 * @example
 * ```ts
 * const { host, port, ssl }: PgOptions = await pgOptions()
 * console.log(host, port, ssl.servername)
 * ```
 */
export interface PgOptions extends DriverOptions {
  /** How long pg may take to connect, in milliseconds. @default 10000 */
  readonly connectionTimeoutMillis: number
}

/**
 * Options of `pg` for a library that makes its own clients or pool, such as Knex, Sequelize or TypeORM. Every
 * connection gets a valid token, once its server is verified; a refused token is not given again. They can be
 * copied, and hold no secret.
 *
 * @example
 * ```ts
 * import pg from 'pg'
 *
 * const connection = await pgOptions({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app' })
 * const client = new pg.Client({ ...connection, application_name: 'orders' })
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where an option is wrong; `RDS_IAM_TRUST` where a bundle leaves
 * the authorities out.
 * @see https://node-postgres.com/apis/client
 */
export function pgOptions(options?: PgOptionsOptions): Promise<PgOptions> {
  return createDriverOptions({ ...postgresEngine, factory: 'pgOptions' }, options, (access, settings) => {
    const { ssl, ...others } = driverOptions(access, settings)
    return { ...others, ssl: { ...ssl }, connectionTimeoutMillis: settings.connectTimeoutMs }
  })
}
