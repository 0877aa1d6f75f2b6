import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { join, PeerGone, readExactly } from './bytes.ts'
import type { Attempt, Judgement } from './gate.ts'
import { beginHandshake, describeClient, finish, type Handshake, type Site, startTls } from './handshake.ts'
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
import { loginUpstream, reachPostgres, type UpstreamLogin } from './postgres-upstream.ts'
import { quote } from './token-text.ts'
import { UpstreamRefusal } from './upstream.ts'

const alpnProtocols = ['postgresql']

/**
 * Serves a client that speaks PostgreSQL's protocol: TLS, authentication by token, then everything both ways.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html
 */
export async function servePostgres(socket: Socket, site: Site): Promise<void> {
  const handshake = beginHandshake(socket, site)
  try {
    const packet = await negotiate(handshake)
    if (packet.code === requestCodes.cancel) await forwardCancel(handshake, packet)
    else await openSession(handshake, packet)
  } catch (error) {
    handshake.drop()
    if (error instanceof Refusal) finish(handshake.stream, encodeRefusal(error))
    else handshake.stream.destroy()
  }
}

/** Comes to the first packet that is not about encryption. */
async function negotiate(handshake: Handshake): Promise<FirstPacket> {
  const first = await readExactly(handshake.stream, 1)
  handshake.stream.unshift(first)
  // 0x16 begins a TLS handshake, and no packet: direct TLS, which must come with ALPN so that nobody can be
  // talked into it in another protocol.
  // https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL
  if (first[0] === 0x16) {
    const stream = await startTls(handshake, alpnProtocols)
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
      await startTls(handshake, alpnProtocols)
      encryptionOpen = gssOpen = false
    } else if (packet.code === requestCodes.gssEncryption && gssOpen) {
      handshake.stream.write('N')
      gssOpen = false
    } else {
      return packet
    }
  }
}

async function forwardCancel(handshake: Handshake, packet: FirstPacket): Promise<void> {
  const { site, stream } = handshake
  // Not tied to the client, which may leave at once: the request is to arrive all the same.
  const upstream = await reachPostgres(site.upstream, socket => {
    site.hold(socket)
    handshake.awaited = socket
    // Where the client has left, nobody else would end a server that says nothing.
    socket.setTimeout(site.handshakeTimeoutMs, () => socket.destroy())
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
    const login = await loginUpstream(upstream, packet.bytes, attempt.user, handshake.tie)
    const { error } = login
    const after =
      error && `; the upstream then refused the session: ${error.sqlState} ${quote(error.message)}`
    gate.record(attempt, { ...judgement, detail: `${judgement.detail}${after ?? ''}` })
    return login
  } catch (error) {
    const isRefusal = error instanceof UpstreamRefusal
    const cause = isRefusal ? error : (handshake.awaited?.errored ?? error)
    const detail = cause instanceof Error ? cause.message : 'unknown'
    gate.record(attempt, {
      ...judgement,
      reason: 'InternalError',
      detail: `${judgement.detail}; no session: ${detail}`,
    })
    // https://www.postgresql.org/docs/18/errcodes-appendix.html: the server rejected the establishment of the
    // connection. It does not pass by itself, as 57P03 does.
    if (isRefusal) throw new Refusal('08004', detail)
    throw new Refusal(
      '57P03',
      'the database system is not accepting connections',
      'The gateway has no connection to the server behind it.',
    )
  }
}

// https://www.postgresql.org/docs/18/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS: NAMEDATALEN - 1
const maxNameBytes = 63

function describeAttempt(stream: Socket, parameters: ReadonlyMap<string, string>): Attempt {
  const user = parameters.get('user') ?? ''
  if (user === '') throw new Refusal('28000', 'no PostgreSQL user name specified in startup packet')
  // PostgreSQL would cut the name off, and log in somebody else than was verified.
  if (Buffer.byteLength(user) > maxNameBytes) {
    throw new Refusal('42622', `user names have at most ${maxNameBytes} bytes`)
  }
  const database = parameters.get('database') || user
  return { ...describeClient(stream), user, database }
}
