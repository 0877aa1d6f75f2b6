import type { Client, ClientConfig, Pool, PoolConfig } from 'pg'
import { assembleClient, assemblePool } from './assembly.ts'
import { createPgDriver, createPgPoolDriver } from './drivers/pg.ts'
import { type OwnedOption, postgresEngine } from './engines/postgres.ts'
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

/** Options of {@link iamPg}. */
export interface IamPgOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the client is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of pg's `Client`, for example `{ statement_timeout: 2000, application_name: 'orders' }`, but for those that this package
   * decides about.
   *
   * @see https://node-postgres.com/apis/client
   */
  readonly client?: Omit<ClientConfig, OwnedOption>
}

/** Options of {@link iamPgPool}. */
export interface IamPgPoolOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the pool is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of pg's `Pool` and `Client`, but for those that this package decides about. `idleTimeoutMillis` is 0, that is none, unless
   * given: an idle connection costs a frozen process nothing.
   *
   * @see https://node-postgres.com/apis/pool
   */
  readonly client?: Omit<PoolConfig, OwnedOption>
}

/**
 * A middy middleware that attaches a connected `pg.Client` to the handler's context, this invocation's alone, authenticated by an IAM
 * token over verified TLS. The connection is kept for the next invocation of the execution environment.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamPg({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', database: 'orders' }))
 *   .handler(async (event, context) => (await context.db.query('select now()')).rows)
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamPg<const Key extends string = 'db'>(
  options?: IamPgOptions<Key>,
): RdsIamMiddleware<Key, Client> {
  return assembleClient({ ...postgresEngine, middleware: 'iamPg' }, options, createPgDriver)
}

/**
 * A middy middleware that attaches a `pg.Pool` to the handler's context, whose every new connection authenticates by a valid IAM
 * token over verified TLS. For handlers that run queries side by side.
 *
 * @example
 * ```ts
 * export const handler = middy()
 *   .use(iamPgPool({ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', database: 'orders', max: 4 }))
 *   .handler(async (event, context) => Promise.all([context.db.query('select 1'), context.db.query('select 2')]))
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; every other code before the handler runs.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function iamPgPool<const Key extends string = 'db'>(
  options?: IamPgPoolOptions<Key>,
): RdsIamMiddleware<Key, Pool> {
  return assemblePool({ ...postgresEngine, middleware: 'iamPgPool' }, options, createPgPoolDriver)
}
