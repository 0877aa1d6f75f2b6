import type { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, PeerCertificate, SecureContext, TLSSocket } from 'node:tls'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { Endpoint } from '../identifiers/endpoint.ts'
import type { PlainTls } from './plain-tls.ts'
import { loadRoots, type TellMissing, type TrustSettings } from './roots.ts'

/** Takes 7 ms to load, while the first connection waits for the network. */
const tls = () => process.getBuiltinModule('node:tls')

/**
 * TLS options that verify the server's chain and host name, whatever the environment says. They are for
 * `tls.connect`, and for the option `ssl` of a driver.
 *
 * @example
 * ```ts
 * import { connect } from 'node:tls'
 * import type { LoginAttempt } from 'middy-rds-iam/login-source'
 *
 * const dial = ({ host, port, tls }: LoginAttempt) => connect({ host, port, ...tls })
 * ```
 */
export interface VerifiedTls extends PlainTls {
  /** Made of `ca` and `minVersion` when it is first read. All connections then share it. */
  readonly secureContext: SecureContext
}

/** Whom a database is verified against: shared by all connections of a middleware or pool. */
export interface Trust {
  /** The options of every connection. Until {@link load} has resolved they trust no server at all. */
  readonly tls: VerifiedTls
  /** Reads the authorities, once. A failure is not kept: the next call tries again. */
  load(): Promise<VerifiedTls>
}

/** A pool is made before the authorities are read, so that the options exist before what fills them. */
export function createTrust(settings: TrustSettings, tellMissing?: TellMissing): Trust {
  let authorities: string[] | undefined
  let pending: Promise<VerifiedTls> | undefined
  const tls = verifiedTls(settings.endpoint, () => authorities)
  return {
    tls,
    load() {
      pending ??= loadRoots(settings, undefined, tellMissing).then(
        loaded => {
          // Nobody who is given it can add to it.
          authorities = Object.freeze([...loaded]) as string[]
          return tls
        },
        error => {
          pending = undefined
          throw error
        },
      )
      return pending
    },
  }
}

function verifiedTls({ host }: Endpoint, authorities: () => string[] | undefined): VerifiedTls {
  let secureContext: SecureContext | undefined
  const minVersion = 'TLSv1.2'
  return {
    get ca() {
      // An empty list trusts nobody; none at all would be Node's own list. mysql2 resumes TLS sessions only
      // where it is given the same list.
      return authorities() ?? []
    },
    minVersion,
    // One context serves all connections: building it again costs more than the rest of the handshake.
    get secureContext() {
      const ca = authorities()
      if (ca === undefined) return tls().createSecureContext({ ca: [], minVersion })
      secureContext ??= tls().createSecureContext({ ca, minVersion })
      return secureContext
    },
    // Given, so that neither NODE_TLS_REJECT_UNAUTHORIZED nor a driver's default can decide otherwise.
    rejectUnauthorized: true,
    verifyIdentity: true,
    // The endpoint's name is checked. The driver would take the name that it dials, of a CNAME or a tunnel.
    checkServerIdentity: (_host, certificate) =>
      tls().checkServerIdentity(host, certificate as PeerCertificate),
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

/**
 * Makes the last check of a connection whose TLS options somebody else may have changed: the name in the
 * certificate is compared again, and who vouches for it.
 *
 * @param authorities Those that are trusted, each as PEM.
 * @param isAsGiven Whether the driver has the options as they were given. A resumed TLS session shows no
 * certificate.
 * @throws {RdsIamError} `RDS_IAM_TRUST` unless the stream is a TLS connection to the verified endpoint.
 */
export function requireIdentity(
  stream: unknown,
  endpoint: Endpoint,
  authorities: readonly string[],
  isAsGiven = false,
): void {
  requireVerified(stream, endpoint)
  const { host } = endpoint
  const socket = stream as TLSSocket
  if (socket.isSessionReused()) {
    if (isAsGiven) return
    throw notTheEndpoint(`The driver has other options of TLS than those for ${host}`)
  }
  // Not `getPeerX509Certificate`: it takes the certificate away, so that nobody finds one the next time.
  const certificate = socket.getPeerCertificate(true)
  const cause = tls().checkServerIdentity(host, certificate)
  if (cause !== undefined)
    throw notTheEndpoint(`The server's certificate is not for ${host}: ${cause.message}`, cause)
  if (!isVouchedFor(certificate, authorities))
    throw notTheEndpoint(
      `The server's certificate for ${host} is of an authority that is not among those given`,
    )
}

// By the list, which is the same for all connections of an access.
const readLists = new WeakMap<readonly string[], readonly X509Certificate[]>()

function readAuthorities(authorities: readonly string[]): readonly X509Certificate[] {
  const known = readLists.get(authorities)
  if (known !== undefined) return known
  const { X509Certificate } = process.getBuiltinModule('node:crypto')
  const read = authorities.map(pem => new X509Certificate(pem))
  readLists.set(authorities, read)
  return read
}

/** Whether one of the authorities vouches for a certificate, by itself or by those in between. */
function isVouchedFor(certificate: DetailedPeerCertificate, authorities: readonly string[]): boolean {
  const { X509Certificate } = process.getBuiltinModule('node:crypto')
  const trusted = readAuthorities(authorities)
  const isIssuedBy = (one: X509Certificate, other: X509Certificate) =>
    one.checkIssued(other) && one.verify(other.publicKey)
  let entry = certificate
  let current = new X509Certificate(entry.raw)
  for (;;) {
    const own = current
    if (trusted.some(authority => authority.raw.equals(own.raw) || isIssuedBy(own, authority))) return true
    const issuer = entry.issuerCertificate
    // The last one is its own issuer, or has none that is known.
    if (issuer === undefined || issuer === entry) return false
    current = new X509Certificate(issuer.raw)
    if (!isIssuedBy(own, current)) return false
    entry = issuer
  }
}

function notTheEndpoint(problem: string, cause?: unknown): RdsIamError {
  return new RdsIamError('RDS_IAM_TRUST', `${problem}; no authentication token was sent.`, {
    cause,
    remedy: 'Pass the options of TLS on as they are.',
  })
}
