import type { ConnectionOptions, PoolOptions } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import type { OwnedOption } from './mysql-engine.ts'
import type { AccessOption, RdsIamOptions } from './options.ts'

/**
 * A `Pool` of `mysql2/promise` that can be closed, also by `await using`.
 *
 * @example
 * ```ts
 * import { createMysqlPool } from 'middy-rds-iam/mysql2'
 *
 * const pool: IamMysqlPool = createMysqlPool()
 * const [rows] = await pool.query('select now()')
 * await pool.close()
 * ```
 */
export interface IamMysqlPool extends Pool {
  /**
   * Ends the pool: idle connections at once, those in use when they are released, or after five seconds.
   * Whoever asks for a connection afterwards gets an `RdsIamError` with the code `RDS_IAM_CLOSED`. A second
   * time is the same time.
   */
  close(): Promise<void>
}

/**
 * Options of `iamMysql`.
 *
 * @example { host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', client: { timezone: 'Z' } }
 */
export interface IamMysqlOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the connection is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of mysql2's connections, for example `{ multipleStatements: true, timezone: 'Z' }`, but for those
   * that this package decides about.
   *
   * @default none
   * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-connection
   */
  readonly client?: Omit<ConnectionOptions, OwnedOption>
}

/**
 * Options of `iamMysqlPool`.
 *
 * @example { host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', max: 4, client: { queueLimit: 100 } }
 */
export interface IamMysqlPoolOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the pool is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of mysql2's pool and connections, but for those that this package decides about. mysql2 closes
   * idle connections only where
   * `maxIdle` is less than `max`, after `idleTimeout`.
   *
   * @default none
   * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-pool
   */
  readonly client?: Omit<PoolOptions, OwnedOption>
}

/**
 * Options of `createMysqlPool`.
 *
 * @example { host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app', max: 4 }
 */
export type CreateMysqlPoolOptions = Omit<IamMysqlPoolOptions, 'contextKey'>

/**
 * Options of `mysqlOptions`.
 *
 * @example { host: 'shop.c1x2.eu-west-1.rds.amazonaws.com', user: 'shop_app' }
 */
export type MysqlOptionsOptions = Pick<RdsIamOptions, AccessOption>
