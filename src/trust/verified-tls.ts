import {
  checkServerIdentity,
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  TLSSocket,
} from 'node:tls'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { Endpoint } from '../identifiers/endpoint.ts'
import { loadRoots, type TrustSettings } from './roots.ts'

/**
 * Options that verify the server's chain and name, whatever the environment says: for `tls.connect`, and as the `ssl` object of a driver
 * that makes its own of them.
 */
export interface VerifiedTls {
  /** The authorities that are trusted, each as PEM. */
  readonly ca: string[]
  readonly minVersion: 'TLSv1.2'
  /** Made of the two above when it is first asked for, and then the same for all connections. */
  readonly secureContext: SecureContext
  readonly rejectUnauthorized: true
  /** mysql2 compares the certificate with its `host` only where this is set. */
  readonly verifyIdentity: true
  readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined
  readonly servername: string
}

/** Gives the one set of TLS options that all connections of a middleware share; the authorities are read once. */
export type TrustSource = () => Promise<VerifiedTls>

/** A failure is not kept: the next call tries again. */
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
    // One context for all connections: to build it from the authorities again costs more than the rest of the handshake.
    get secureContext() {
      secureContext ??= createSecureContext({ ca, minVersion })
      return secureContext
    },
    // Set, so that neither NODE_TLS_REJECT_UNAUTHORIZED nor a driver's default can decide otherwise.
    rejectUnauthorized: true,
    verifyIdentity: true,
    // The name is the endpoint's, where the driver would take the CNAME or the tunnel's that it dials.
    checkServerIdentity: (_host, certificate) => checkServerIdentity(host, certificate),
    servername: host,
  }
}

/**
 * The last check before a token leaves the process, whatever the driver did before.
 *
 * @throws {RdsIamError} `RDS_IAM_TRUST` unless the stream is a TLS connection to a verified server.
 */
export function requireVerified(stream: unknown, { host }: Endpoint): void {
  if (stream instanceof TLSSocket && stream.encrypted && stream.authorized && !stream.destroyed) return
  throw new RdsIamError(
    'RDS_IAM_TRUST',
    `The connection is not verified TLS to ${host}; no authentication token was sent.`,
  )
}
