import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { join, PeerGone, readExactly } from './bytes.ts'
import type { Attempt, Gate, Judgement } from './gate.ts'
import {
  encodeInt32,
  encodeMessage,
  encodeRefusal,
  type FirstPacket,
  parseStartup,
  Refusal,
  readFirstPacket,
  readPassword,
  requestCodes,
} from './postgres-messages.ts'
import { loginUpstream, reachUpstream, type Upstream, type UpstreamLogin } from './postgres-upstream.ts'
import { quote } from './token-text.ts'

/** What a gateway gives to each of its connections. */
export interface PostgresSite {
  readonly secureContext: SecureContext
  readonly upstream: Upstream
  readonly gate: Gate
  readonly handshakeTimeoutMs: number
  /** Is given every socket that is made, to listen to its errors and to end it with the gateway. */
  readonly hold: (socket: Socket) => void
}

/** A client's connection up to its session. */
interface Handshake {
  readonly site: PostgresSite
  /** Where the client is spoken to: the TCP socket, then the TLS socket on top of it. */
  stream: Socket
  upstream: Socket | undefined
  /** Ends the handshake timeout. */
  readonly done: () => void
}

/**
 * Serves a client that speaks PostgreSQL's protocol: TLS, authentication by token, then everything both ways.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html
 */
export async function servePostgres(socket: Socket, site: PostgresSite): Promise<void> {
  const handshake: Handshake = { site, stream: socket, upstream: undefined, done: () => clearTimeout(timer) }
  // A hanging upstream is ended first, so that the client can still be told and the decision be logged.
  const timer = setTimeout(() => {
    const { stream, upstream } = handshake
    if (upstream === undefined || upstream.destroyed) stream.destroy()
    else upstream.destroy(new Error('the upstream did not answer within the handshake timeout'))
  }, site.handshakeTimeoutMs)
  socket.once('close', handshake.done)
  try {
    const packet = await negotiate(handshake)
    if (packet.code === requestCodes.cancel) await forwardCancel(handshake, packet)
    else await openSession(handshake, packet)
  } catch (error) {
    handshake.upstream?.destroy()
    if (error instanceof Refusal) finish(handshake.stream, encodeRefusal(error))
    else handshake.stream.destroy()
  }
}

/** Comes to the first packet that is not about encryption. */
async function negotiate(handshake: Handshake): Promise<FirstPacket> {
  const first = await readExactly(handshake.stream, 1)
  handshake.stream.unshift(first)
  // 0x16 begins a TLS handshake, and no packet: direct TLS, which must come with ALPN so that nobody can be talked
  // into it in another protocol. https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL
  if (first[0] === 0x16) {
    const stream = await startTls(handshake)
    if (stream.alpnProtocol !== 'postgresql') throw new PeerGone('direct TLS without ALPN')
  }
  let encryptionOpen = !(handshake.stream instanceof TLSSocket)
  let gssOpen = encryptionOpen
  for (;;) {
    const packet = await readFirstPacket(handshake.stream)
    if (packet.code === requestCodes.ssl && encryptionOpen) {
      // Nothing that came in plaintext may be taken for something that came over TLS (CVE-2021-23214).
      if (handshake.stream.readableLength > 0)
        throw new Refusal('08P01', 'received unencrypted data after SSL request')
      handshake.stream.write('S')
      await startTls(handshake)
      encryptionOpen = gssOpen = false
    } else if (packet.code === requestCodes.gssEncryption && gssOpen) {
      handshake.stream.write('N')
      gssOpen = false
    } else {
      return packet
    }
  }
}

function startTls(handshake: Handshake): Promise<TLSSocket> {
  const { secureContext, hold } = handshake.site
  const stream = new TLSSocket(handshake.stream, {
    isServer: true,
    secureContext,
    ALPNProtocols: ['postgresql'],
  })
  hold(stream)
  handshake.stream = stream
  return new Promise((resolve, reject) => {
    stream.once('secure', () => resolve(stream))
    stream.once('close', () => reject(new PeerGone()))
  })
}

async function forwardCancel(handshake: Handshake, packet: FirstPacket): Promise<void> {
  const { site, stream } = handshake
  // Not tied to the client, which may leave at once: the request is to arrive all the same.
  const upstream = await reachUpstream(site.upstream, socket => {
    site.hold(socket)
    handshake.upstream = socket
  })
  // The client may take the end of its connection for the server's having seen the request.
  upstream.once('close', () => stream.end())
  upstream.end(packet.bytes).resume()
  stream.resume()
}

async function openSession(handshake: Handshake, packet: FirstPacket): Promise<void> {
  const { site, stream } = handshake
  const major = packet.code >>> 16
  if (major !== 3) {
    const version = `${major}.${packet.code & 0xffff}`
    throw new Refusal('0A000', `unsupported frontend protocol ${version}: server supports 3.0 to 3.2`)
  }
  const attempt = describeAttempt(stream, parseStartup(packet.bytes))
  const { user, database } = attempt
  if (attempt.tls === undefined) {
    site.gate.record(attempt, { reason: 'NotEncrypted', detail: 'the client did not ask for TLS' })
    const host = stream.remoteAddress ?? 'unknown'
    throw new Refusal(
      '28000',
      `no pg_hba.conf entry for host "${host}", user "${user}", database "${database}", no encryption`,
    )
  }

  stream.write(encodeMessage('R', encodeInt32(3)))
  const judgement = site.gate.judge(attempt, await readPassword(stream))
  if (judgement.reason !== undefined) {
    site.gate.record(attempt, judgement)
    throw judgement.reason === 'NotIamUser'
      ? new Refusal('28P01', `password authentication failed for user "${user}"`)
      : new Refusal('28000', `PAM authentication failed for user "${user}"`)
  }

  const login = await logIn(handshake, packet, attempt, judgement)
  if (login.error !== undefined) {
    login.socket.destroy()
    finish(stream, login.answer)
    return
  }
  handshake.done()
  stream.write(login.answer)
  join(stream, login.socket)
}

/** Logs in at the upstream, and puts into the decision log what came of it. */
async function logIn(
  handshake: Handshake,
  packet: FirstPacket,
  attempt: Attempt,
  judgement: Judgement,
): Promise<UpstreamLogin> {
  const { gate, upstream } = handshake.site
  try {
    const hold = (socket: Socket) => holdUpstream(handshake, socket)
    const login = await loginUpstream(upstream, packet.bytes, attempt.user, hold)
    const { error } = login
    const after =
      error && `; the upstream then refused the session: ${error.sqlState} ${quote(error.message)}`
    gate.record(attempt, { ...judgement, detail: `${judgement.detail}${after ?? ''}` })
    return login
  } catch (error) {
    const cause = handshake.upstream?.errored ?? error
    const detail = cause instanceof Error ? cause.message : 'unknown'
    gate.record(attempt, {
      ...judgement,
      reason: 'InternalError',
      detail: `${judgement.detail}; no session: ${detail}`,
    })
    throw new Refusal(
      '57P03',
      'the database system is not accepting connections',
      'The gateway has no connection to the server behind it.',
    )
  }
}

/** A client that leaves takes its connection to the upstream with it. */
function holdUpstream(handshake: Handshake, socket: Socket): void {
  handshake.site.hold(socket)
  handshake.upstream = socket
  const leave = (): void => {
    socket.destroy()
  }
  if (handshake.stream.destroyed) leave()
  handshake.stream.once('close', leave)
  // Once both are joined, the end of one is passed on in order.
  socket.once('pipe', () => handshake.stream.off('close', leave))
}

function describeAttempt(stream: Socket, parameters: ReadonlyMap<string, string>): Attempt {
  const user = parameters.get('user') ?? ''
  if (user === '') throw new Refusal('28000', 'no PostgreSQL user name specified in startup packet')
  const database = parameters.get('database') || user
  const client = `${stream.remoteAddress}:${stream.remotePort}`
  if (!(stream instanceof TLSSocket)) return { client, user, database }
  const tls = { version: stream.getProtocol() ?? 'unknown', cipher: stream.getCipher().standardName }
  return { client, user, database, tls }
}

/** Sends the last words and closes; the handshake timeout ends a client that does not close its side. */
function finish(stream: Socket, bytes: Buffer): void {
  stream.end(bytes)
  stream.resume()
}
