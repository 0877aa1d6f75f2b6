/**
 * TLS options that verify a server, without anything that a copy of them would break: the authorities stand
 * as texts in place of a native secure context.
 *
 * @example
 * ```ts
 * import { connect } from 'node:tls'
 * import { trustedTls } from 'middy-rds-iam'
 *
 * const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
 * const ssl: PlainTls = await trustedTls({ host })
 * connect({ host, port: 5432, ...ssl })
 * ```
 */
export interface PlainTls {
  /** The authorities that are trusted, each as PEM. */
  readonly ca: string[]
  /** The oldest version of TLS that is spoken. */
  readonly minVersion: 'TLSv1.2'
  /** A server that cannot be verified is refused. */
  readonly rejectUnauthorized: true
  /** mysql2 compares the certificate with its `host` only if this is set. */
  readonly verifyIdentity: true
  /** Compares the certificate with the endpoint's name, whatever name was dialled. */
  readonly checkServerIdentity: (host: string, certificate: object) => Error | undefined
  /** The endpoint's name, which the server is asked for. */
  readonly servername: string
}

/** What can be copied of TLS options. The authorities are those that are known when they are read. */
export function plainTls(options: PlainTls): PlainTls {
  const { minVersion, rejectUnauthorized, verifyIdentity, checkServerIdentity, servername } = options
  return {
    get ca() {
      return [...options.ca]
    },
    minVersion,
    rejectUnauthorized,
    verifyIdentity,
    checkServerIdentity,
    servername,
  }
}
