import type { ClientConfig, PoolConfig } from 'pg'
import type { RdsIamOptions } from './options.ts'
import type { OwnedOption } from './postgres-engine.ts'

/** Options of `iamPg`. */
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
   * @see https://node-postgres.com/apis/client
   */
  readonly client?: Omit<ClientConfig, OwnedOption>
}

/** Options of `iamPgPool`. */
export interface IamPgPoolOptions<Key extends string = 'db'> extends RdsIamOptions {
  /**
   * The name on the handler's context that the pool is attached to.
   *
   * @default 'db'
   */
  readonly contextKey?: Key
  /**
   * Options of pg's `Pool` and `Client`, but for those that this package decides about. `idleTimeoutMillis`
   * is 0, that is none, unless given: an idle connection costs a frozen process nothing.
   *
   * @see https://node-postgres.com/apis/pool
   */
  readonly client?: Omit<PoolConfig, OwnedOption>
}
