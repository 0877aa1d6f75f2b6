import type { ClientConfig, Pool, PoolConfig } from 'pg'
import type { AccessOption, RdsIamOptions } from './options.ts'
import type { OwnedOption } from './postgres-engine.ts'

/**
 * A `pg.Pool` that can be closed, also by `await using`.
 *
 * @example
 * ```ts
 * import { createPgPool } from 'middy-rds-iam/pg'
 *
 * await using pool: IamPgPool = createPgPool()
 * console.log((await pool.query('select now()')).rows)
 * ```
 */
export interface IamPgPool extends Pool, AsyncDisposable {
  /**
   * Ends the pool: idle connections at once, those in use when they are released, or after five seconds.
   * Whoever asks for a connection afterwards gets an `RdsIamError` with the code `RDS_IAM_CLOSED`. A second
   * time is the same time.
   */
  close(): Promise<void>
}

/**
 * Options of `iamPg`.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', client: { statement_timeout: 2_000 } }
 */
export interface IamPgOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the client is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of pg's `Client`, for example `{ statement_timeout: 2000, application_name: 'orders' }`, but for
   * those that this package decides about.
   *
   * @default none
   * @see https://node-postgres.com/apis/client
   */
  readonly client?: Omit<ClientConfig, OwnedOption>
}

/**
 * Options of `iamPgPool`.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', max: 4, client: { application_name: 'orders' } }
 */
export interface IamPgPoolOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the pool is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of pg's `Pool` and `Client`, but for those that this package decides about. `idleTimeoutMillis`
   * is 0, that is none, unless given: an idle connection costs a frozen process nothing. What `onConnect` sends
   * is sent again whenever the session is put back (`resetSession`).
   *
   * @default none
   * @see https://node-postgres.com/apis/pool
   */
  readonly client?: Omit<PoolConfig, OwnedOption>
}

/**
 * Options of `createPgPool`.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', max: 4 }
 */
export type CreatePgPoolOptions = Omit<IamPgPoolOptions, 'contextKey'>

/**
 * Options of `pgOptions`.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app' }
 */
export type PgOptionsOptions = Pick<RdsIamOptions, AccessOption>
