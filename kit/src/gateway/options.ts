import type { Endpoint } from 'middy-rds-iam/identifiers'
import type { Decision } from './decision.ts'
import type { GatewayPolicy } from './policy.ts'
import type { GatewayCredentials } from './sigv4.ts'

/**
 * The real server that stands behind the gateway.
 *
 * @example { host: '127.0.0.1', port: 5432 }
 */
export interface GatewayUpstream {
  /** @default '127.0.0.1' */
  readonly host?: string | undefined
  /** For example `5432`. */
  readonly port: number
  /**
   * The database password, where the server does not trust the gateway: for everybody, or by user. Of
   * PostgreSQL's methods `password`, `md5` and `scram-sha-256` are answered; of MySQL's plugins
   * `mysql_native_password`, `caching_sha2_password` and `sha256_password`, of MariaDB's also `ed25519` and
   * `parsec`. Where it is missing or wrong, the client is told that the server behind the gateway refused.
   *
   * @default none
   */
  readonly password?: string | ((user: string) => string | undefined) | undefined
  /**
   * The certificate authorities of the server, PEM, for example `readFileSync('upstream-ca.pem', 'utf8')`.
   * With it, the gateway speaks TLS to a server on loopback, too, as one that demands TLS needs it; there,
   * the certificate must come from these authorities, and may be for any host. Beyond loopback, the gateway
   * always speaks TLS, and the certificate must be for the host.
   *
   * @default on loopback none: plain text; beyond it, the authorities of Node.js and of this machine
   */
  readonly ca?: string | undefined
}

/**
 * What a gateway is started with; only `upstream` and `region` are needed.
 *
 * @example { upstream: { port: 5432 }, region: 'eu-west-1', users: ['orders_app'] }
 */
export interface GatewayOptions {
  /**
   * Whose protocol is spoken on both sides: MySQL's is MariaDB's too. A MySQL upstream is connected to before
   * the client has authenticated, so it counts refused clients as interrupted ones (`max_connect_errors`)
   * unless it is on loopback.
   *
   * @default 'postgres'
   */
  readonly engine?: 'postgres' | 'mysql' | undefined
  /** The real server, for example `{ port: 5432 }`. */
  readonly upstream: GatewayUpstream
  /**
   * The address to listen on, for example `'0.0.0.0'` for all of this machine. Beyond loopback, the stand-in
   * key pair is refused, because everybody knows it: either `users` and a `policy` are named, or
   * `credentials`.
   *
   * @default '127.0.0.1'
   */
  readonly host?: string | undefined
  /** The port to listen on. @default 0, any free port */
  readonly port?: number | undefined
  /** The Region that tokens must be signed for, for example `'eu-west-1'`. */
  readonly region: string
  /**
   * RDS endpoints that tokens may be signed for, and the certificate is valid for, besides the gateway's own
   * names `localhost` and `host.docker.internal` at its own port.
   *
   * @default []
   */
  readonly endpoints?: readonly Endpoint[] | undefined
  /**
   * The key pairs that tokens may be signed with.
   *
   * @default the pair `defaultkey`, `defaultsecret` without a session token
   * @see https://github.com/aws/aws-sam-cli/blob/develop/samcli/local/lambdafn/env_vars.py
   * where SAM CLI sets it
   */
  readonly credentials?: readonly GatewayCredentials[] | undefined
  /** The database users that are IAM users; others are refused as RDS refuses them. @default every user */
  readonly users?: readonly string[] | undefined
  /** The IAM policy that decides who may connect. @default none: every valid token may */
  readonly policy?: GatewayPolicy | undefined
  /**
   * New connections a second; those over it are refused in the words for a bad token, as RDS does.
   *
   * @default no limit
   */
  readonly maxConnectionsPerSecond?: number | undefined
  /** Called with every decision. @default none */
  readonly onDecision?: ((decision: Decision) => void) | undefined
  /**
   * How long a client may take from connecting to its session, in milliseconds; then it is closed, whatever
   * it is sending. No byte of it prolongs that.
   *
   * @default 10000, as MySQL's `connect_timeout`; PostgreSQL's `authentication_timeout` is a minute
   * @see https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_connect_timeout
   * @see https://www.postgresql.org/docs/18/runtime-config-connection.html#GUC-AUTHENTICATION-TIMEOUT
   */
  readonly handshakeTimeoutMs?: number | undefined
  /** The clock, in milliseconds since 1970. @default Date.now */
  readonly now?: (() => number) | undefined
}
