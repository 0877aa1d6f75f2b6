import type { ConnectionOptions, PoolOptions } from 'mysql2'
import type { Pool } from 'mysql2/promise'
import type { OwnedOption } from './mysql-engine.ts'
import type { AccessOption, RdsIamOptions } from './options.ts'

/** A `Pool` of `mysql2/promise` that can be closed, also by `await using`. */
export interface IamMysqlPool extends Pool {
  /**
   * Ends the pool: idle connections at once, those in use when they are released, or after five seconds.
   * Whoever asks for a connection afterwards gets an `RdsIamError` with the code `RDS_IAM_CLOSED`. A second
   * time is the same time.
   */
  close(): Promise<void>
}

/** Options of `iamMysql`. */
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
   * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-connection
   */
  readonly client?: Omit<ConnectionOptions, OwnedOption>
}

/** Options of `iamMysqlPool`. */
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
   * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-pool
   */
  readonly client?: Omit<PoolOptions, OwnedOption>
}

/** Options of `createMysqlPool`. */
export type CreateMysqlPoolOptions = Omit<IamMysqlPoolOptions, 'contextKey'>

/** Options of `mysqlOptions`. */
export type MysqlOptionsOptions = Pick<RdsIamOptions, AccessOption>
