import type { LoginOptions } from 'middy-rds-iam/login-source'
import type { ProxyEvent } from './events.ts'

/**
 * Where a proxy listens: on a port of this machine, or at a Unix socket.
 *
 * @example { port: 15_432 }
 */
export type ProxyListen =
  | {
      /** An address of this machine alone: of 127.0.0.0/8, `'::1'` or `'localhost'`. @default '127.0.0.1' */
      readonly host?: string | undefined
      /** For example `15432`. @default 0, any free port */
      readonly port?: number | undefined
    }
  | {
      /**
       * The path of the socket, which only its owner may use. Its folder is made where it is missing, and
       * must be its owner's alone. PostgreSQL's clients look for `.s.PGSQL.5432` in a folder, or for another
       * number.
       */
      readonly socket: string
    }

/**
 * What a proxy is started with. Where the database is, who connects and what is trusted is said by the
 * options of the middlewares: `host`, `port`, `user`, `database`, `region`, `endpoint`, `tls`, `credentials`,
 * `signer`, `connectTimeoutMs`, `retryRefused` and `tokenMarginMs`, with the same defaults. Through a tunnel,
 * `host` and `port` are the tunnel's, and `endpoint` is the real RDS endpoint.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', listen: { port: 15_432 } }
 */
export interface ProxyOptions extends Omit<LoginOptions, 'logger' | 'metrics'> {
  /** Whose protocol is spoken on both sides: MySQL's is MariaDB's too. @default 'postgres' */
  readonly engine?: 'postgres' | 'mysql' | undefined
  /** Where to listen. @default any free port of 127.0.0.1 */
  readonly listen?: ProxyListen | undefined
  /**
   * The password that clients have to give to the proxy, of at least 8 printable ASCII characters; `false`
   * for none, which lets in whoever on this machine reaches the port.
   *
   * @default a random one
   */
  readonly password?: string | false | undefined
  /** Called with every event. @default none */
  readonly onEvent?: ((event: ProxyEvent) => void) | undefined
}
