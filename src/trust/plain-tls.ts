/**
 * TLS options that verify a server, without anything that a copy of them would break: the authorities stand
 * as texts in place of a native secure context.
 */
export interface PlainTls {
  /** The authorities that are trusted, each as PEM. */
  readonly ca: string[]
  readonly minVersion: 'TLSv1.2'
  readonly rejectUnauthorized: true
  /** mysql2 compares the certificate with its `host` only if this is set. */
  readonly verifyIdentity: true
  /** Compares the certificate with the endpoint's name, whatever name was dialled. */
  readonly checkServerIdentity: (host: string, certificate: object) => Error | undefined
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
