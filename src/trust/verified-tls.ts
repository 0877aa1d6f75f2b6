import type { PeerCertificate, SecureContext } from 'node:tls'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { Endpoint } from '../identifiers/endpoint.ts'
import { loadRoots, type TrustSettings } from './roots.ts'

/** Takes 7 ms to load, while the first connection waits for the network. */
const tls = () => process.getBuiltinModule('node:tls')

/**
 * TLS options that verify the server's chain and host name, whatever the environment says. They are for
 * `tls.connect`, and for the option `ssl` of a driver.
 */
export interface VerifiedTls {
  /** The authorities that are trusted, each as PEM. */
  readonly ca: string[]
  readonly minVersion: 'TLSv1.2'
  /** Made of `ca` and `minVersion` when it is first read. All connections then share it. */
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: true
  /** mysql2 compares the certificate with its `host` only if this is set. */
  readonly verifyIdentity: true
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined
  readonly servername: string
}

/** Gives the TLS options that all connections of a middleware share. The authorities are read once. */
export type TrustSource = () => Promise<VerifiedTls>

/** Makes the source. It does not keep a failure: the next call tries again. */
export function createTrust(settings: TrustSettings): TrustSource {
  let pending: Promise<VerifiedTls> | undefined
  return () => {
    pending ??= loadRoots(settings).then(
      ca => verifiedTls(settings.endpoint, ca),
      error => {
        pending = undefined
        throw error
      },
    )
    return pending
  }
}

function verifiedTls({ host }: Endpoint, authorities: readonly string[]): VerifiedTls {
  let secureContext: SecureContext | undefined
  const ca = [...authorities]
  const minVersion = 'TLSv1.2'
  return {
    ca,
    minVersion,
    // One context serves all connections: building it again costs more than the rest of the handshake.
    get secureContext() {
      secureContext ??= tls().createSecureContext({ ca, minVersion })
      return secureContext
    },
    // Given, so that neither NODE_TLS_REJECT_UNAUTHORIZED nor a driver's default can decide otherwise.
    rejectUnauthorized: true,
    verifyIdentity: true,
    // The endpoint's name is checked. The driver would take the name that it dials, of a CNAME or a tunnel.
    checkServerIdentity: (_host, certificate) => tls().checkServerIdentity(host, certificate),
    servername: host,
  }
}

/**
 * Makes the last check before a token leaves the process, whatever the driver did before.
 *
 * @throws {RdsIamError} `RDS_IAM_TRUST` unless the stream is a TLS connection to a verified server.
 */
export function requireVerified(stream: unknown, { host }: Endpoint): void {
  if (stream instanceof tls().TLSSocket && stream.encrypted && stream.authorized && !stream.destroyed) return
  throw new RdsIamError(
    'RDS_IAM_TRUST',
    `The connection is not verified TLS to ${host}; no authentication token was sent.`,
  )
}
