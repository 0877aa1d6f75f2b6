import type { RdsIamLogger, RdsIamMetrics } from '../events/observers.ts'
import type { AwsCredentials, AwsCredentialsProvider } from '../token/credentials.ts'
import type { TokenSigner } from '../token/signer-request.ts'

/**
 * Trust that is added to the certificate authorities of Amazon RDS. There is no way to turn verification off.
 *
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 *
 * const tls: TlsOptions = { ca: readFileSync('eusc-de-east-1-bundle.pem', 'utf8') }
 * ```
 */
export interface TlsOptions {
  /**
   * More certificate authorities, as PEM text: the text of a file, not its path. The environment can add more:
   * the file that `PGSSLROOTCERT` names, with MySQL `MYSQL_SSL_CA`.
   *
   * @default none beyond those of the Region, of Amazon Trust Services and of the environment
   */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
}

/**
 * Which server a new connection may lead to, in the words of libpq: `any`, or `read-write` for one that takes
 * writes. libpq's other values choose among several hosts; here the name of the endpoint does that.
 *
 * @example 'read-write'
 * @see https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
export type TargetSessionAttrs = 'any' | 'read-write'

/**
 * The options that every middleware of this package takes. All of them are optional where the environment
 * gives them.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', connectTimeoutMs: 5_000 }
 */
export interface RdsIamOptions {
  /**
   * The host to connect to: the endpoint of an instance, a cluster or an RDS Proxy, for example
   * `orders.c1x2.eu-west-1.rds.amazonaws.com`; or a CNAME, a tunnel or an IP address, together with
   * `endpoint`.
   *
   * @default the environment variable `PGHOST`, with MySQL `MYSQL_HOST`
   */
  readonly host?: string | undefined
  /**
   * The TCP port to connect to, 1 to 65535.
   *
   * @default the environment variable `PGPORT`, else 5432; with MySQL `MYSQL_TCP_PORT`, else 3306
   */
  readonly port?: number | undefined
  /**
   * The database user, case-sensitive: in PostgreSQL a member of `rds_iam`, in MySQL and MariaDB one that is
   * `IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'`.
   *
   * @default the environment variable `PGUSER`, with MySQL `MYSQL_USER`
   */
  readonly user?: string | undefined
  /**
   * The database's name.
   *
   * @default the environment variable `PGDATABASE`, else the user's name; with MySQL `MYSQL_DATABASE`, else
   * none
   */
  readonly database?: string | undefined
  /**
   * The database's Region, for example `eu-west-1`.
   *
   * @default the Region in the endpoint's name, or where the name of a global database leads by DNS; else the
   * environment variable `AWS_REGION`
   */
  readonly region?: string | undefined
  /**
   * The real RDS endpoint to sign tokens for and to verify the certificate against, where `host` is a CNAME,
   * a tunnel or an IP address, for example `{ host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }`.
   *
   * @default `host`, and `port` where only `endpoint.port` is missing
   */
  readonly endpoint?:
    | {
        /** The endpoint's name, for example `orders.c1x2.eu-west-1.rds.amazonaws.com`. */
        readonly host: string
        /** The endpoint's port. @default the option `port` */
        readonly port?: number | undefined
      }
    | undefined
  /** Trust beyond Amazon's own certificate authorities. @default none */
  readonly tls?: TlsOptions | undefined
  /**
   * AWS credentials, or a provider of them.
   *
   * @default the AWS SDK's default chain; in Lambda, that is the function's role
   */
  readonly credentials?: AwsCredentials | AwsCredentialsProvider | undefined
  /**
   * Signs the authentication tokens in place of the AWS SDK. What it returns is cached until it expires.
   *
   * @default `@aws-sdk/rds-signer`, or the same signature without its start-up time where the credentials are
   * in the environment
   */
  readonly signer?: TokenSigner | undefined
  /**
   * Whether to connect at once in Lambda, so that the handshake runs during the initialisation of the
   * execution environment.
   *
   * @default true
   */
  readonly prefetch?: boolean | undefined
  /**
   * The time in milliseconds that connecting may take, all of it: DNS, TCP, TLS, signing, authentication, and
   * trying again what passes by itself. An invocation that has less time left gives up earlier. Where an
   * attempt is silent for a fifth of the time, another one begins beside it. Aurora Serverless that pauses at
   * 0 ACU needs 30000 or more.
   *
   * @see https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
   * @default 10000
   */
  readonly connectTimeoutMs?: number | undefined
  /**
   * Whether a connection whose fresh authentication token was refused is tried again until `connectTimeoutMs`
   * is over: a server that throttles new connections refuses them in the same words as a role without
   * permission. The first refusal is logged at once. Who was refused for all of that time tries once from then
   * on, until it is let in.
   *
   * @default true
   */
  readonly retryRefused?: boolean | undefined
  /**
   * Which server a new connection may lead to: `'read-write'` for one that takes writes, or `'any'`. After a
   * failover, a name may lead to the old writer for some seconds, which is a reader by then. With
   * `'read-write'`, such a connection is closed, and another one is tried while there is time to connect; when
   * there is none left, the reader is lent, and the log warns. Behind RDS Proxy, which finds the writer itself,
   * each new connection asks the server, for one round trip.
   *
   * @default 'read-write' for the writer endpoint of a cluster, or of a global database; 'any' for every other
   */
  readonly targetSessionAttrs?: TargetSessionAttrs | undefined
  /**
   * The silence in milliseconds after which a connection is checked by a ping before it is used again;
   * `false` for never.
   *
   * @default 10000
   */
  readonly pingAfterIdleMs?: number | false | undefined
  /**
   * How long in milliseconds before its end an authentication token is no longer used, 0 to 840000.
   *
   * @default 60000
   */
  readonly tokenMarginMs?: number | undefined
  /**
   * Whether to put the session's state back after each invocation: settings, role, `autocommit`, default
   * database, temporary tables, advisory and table locks, `LISTEN`, cursors. It is sent when the handler ends,
   * and the next invocation waits for the answer. Transactions are rolled back in any case. RDS Proxy would pin
   * the session. MySQL before 5.7.3 cannot do it: by default, settings cross there, and with `true` the
   * connection is closed instead. A pool that was made without Middy knows no invocations: it does this at each
   * release, where `true` is given.
   *
   * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
   * @default true, and false for an endpoint of RDS Proxy
   */
  readonly resetSession?: boolean | undefined
  /**
   * How many connections one execution environment may hold, 1 to 1000: the size of a pool, and the number of
   * invocations that may overlap. Beside an attempt to connect that is silent, one more is opened.
   *
   * @default 10
   */
  readonly max?: number | undefined
  /**
   * Where to log what happens to connections, and mistakes of the handler such as a transaction left open:
   * one line for each event.
   *
   * @default nowhere
   */
  readonly logger?: RdsIamLogger | undefined
  /**
   * Where to count connections, for example the `Metrics` of Powertools: `DatabaseConnectionsOpened`,
   * `DatabaseConnectDuration`, `DatabaseConnectionsReplaced`, `DatabaseConnectRetries` and
   * `DatabaseConnectRefusals`. They are only added; the owner of the metrics publishes them.
   *
   * @default nowhere
   */
  readonly metrics?: RdsIamMetrics | undefined
}

/**
 * An option of the four middlewares, whose type is that of what it returns.
 *
 * @example
 * ```ts
 * import type { Pool } from 'pg'
 *
 * interface Orders { count(): Promise<unknown> }
 * const option: WrapOption<Pool, Orders> = {
 *   wrap: pool => ({ count: async () => (await pool.query('select count(*) from orders')).rows[0] }),
 * }
 * ```
 */
export interface WrapOption<Connection, Wrapped> {
  /**
   * Makes of the connection or pool what the handler gets in its place, for example
   * `pool => drizzle(pool, { schema })`. It is called once for each connection or pool, and again after a
   * handler was cut off: what it returned then is given to nobody else.
   *
   * @default the connection or pool itself
   */
  readonly wrap?: ((connection: Connection) => Wrapped) | undefined
}

/**
 * The options that say where the database is, who connects and what is trusted.
 *
 * @example 'host'
 */
export type AccessOption =
  | 'host'
  | 'port'
  | 'user'
  | 'database'
  | 'region'
  | 'endpoint'
  | 'tls'
  | 'credentials'
  | 'signer'
  | 'connectTimeoutMs'
  | 'tokenMarginMs'
  | 'logger'
  | 'metrics'
