import { connect, type Socket } from 'node:net'
import * as tls from 'node:tls'
import { isIpAddress } from 'middy-rds-iam/identifiers'
import { PeerGone } from '../wire/bytes.ts'
import { quote } from './token-text.ts'

/** The server behind the gateway. */
export interface Upstream {
  readonly host: string
  readonly port: number
  readonly password: (user: string) => string | undefined
  /** Set where the server is spoken to over TLS alone: beyond loopback always. */
  readonly tls: UpstreamTls | undefined
}

/** How the upstream's certificate is verified: its chain always. */
export interface UpstreamTls {
  readonly secureContext: tls.SecureContext
  /** Whether the certificate has to be one for the upstream's host, too. */
  readonly checksName: boolean
}

/**
 * The upstream does not let the gateway in, and will not until somebody changes the gateway or the upstream.
 * The client is told the message: neither its token nor a policy is to blame.
 */
export class UpstreamRefusal extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'UpstreamRefusal'
  }
}

/** Given every socket at once, so that it can be ended from outside. */
export type Hold = (socket: Socket) => void

/**
 * Connects.
 *
 * @throws {Error} With the reason of the network, where it does not work.
 */
export function reachUpstream(upstream: Upstream, hold: Hold): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: upstream.host, port: upstream.port, noDelay: true, keepAlive: true })
    hold(socket)
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
    socket.once('close', () => reject(new PeerGone()))
  })
}

/**
 * Goes on over TLS, once the upstream has agreed to it.
 *
 * @throws {UpstreamRefusal} Where its certificate is not verified.
 */
export function secureUpstream(
  { host }: Upstream,
  { secureContext, checksName }: UpstreamTls,
  socket: Socket,
  hold: Hold,
  ALPNProtocols: string[] = [],
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const stream = tls.connect({
      socket,
      host,
      // An address is verified too, but TLS has no place for it.
      servername: isIpAddress(host) ? '' : host,
      secureContext,
      ALPNProtocols,
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
      ...(!checksName && { checkServerIdentity: () => undefined }),
    })
    hold(stream)
    stream.once('secureConnect', () => resolve(stream))
    stream.once('error', (error: NodeJS.ErrnoException) =>
      reject(stream.authorizationError ? unverified(host, error) : error),
    )
    stream.once('close', () => reject(new PeerGone()))
  })
}

function unverified(host: string, cause: NodeJS.ErrnoException): UpstreamRefusal {
  const what =
    cause.code === 'ERR_TLS_CERT_ALTNAME_INVALID'
      ? `is for another host than ${quote(host)}`
      : 'does not come from an authority that the gateway knows; name it with --upstream-ca, or `upstream.ca`'
  return new UpstreamRefusal(
    `The gateway does not trust the server behind it: its certificate ${what} (${cause.code})`,
    { cause },
  )
}

/** What to say where the upstream has to speak TLS, and does not. */
export function withoutTls({ host, port }: Upstream): UpstreamRefusal {
  return new UpstreamRefusal(
    `The server behind the gateway does not speak TLS, which the gateway needs for ${host}:${port}: turn it on there; a ` +
      'server on loopback does without where no authority is named for it',
  )
}

/**
 * What kept the gateway out, as far as the upstream's error tells: `either` where a wrong password and a
 * missing TLS have the same words.
 */
export type LoginDefect = 'password' | 'transport' | 'either' | 'other'

/**
 * What to say where the upstream refused the login.
 *
 * @param words The upstream's own, with its code.
 * @param hasPassword Whether the gateway has a password for the user.
 */
export function refusedLogin(
  upstream: Upstream,
  user: string,
  words: string,
  defect: LoginDefect,
  hasPassword: boolean,
): UpstreamRefusal {
  const remedies = []
  if (defect === 'password' || defect === 'either')
    remedies.push(
      `check that the user is there, and ${hasPassword ? 'the password that the gateway has' : 'give the gateway the password'} ` +
        'in RDS_IAM_GATEWAY_UPSTREAM_PASSWORD, or `upstream.password`',
    )
  if ((defect === 'transport' || defect === 'either') && upstream.tls === undefined)
    remedies.push('where the server demands TLS, name its authority with --upstream-ca, or `upstream.ca`')
  if (remedies.length === 0) remedies.push('the settings of that server decide')
  return new UpstreamRefusal(
    `The gateway took the token of ${quote(user)}, and the server behind it then refused the login: ${words}: ${remedies.join('; ')}`,
  )
}
