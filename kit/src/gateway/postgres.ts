import type { Socket } from 'node:net'
import { join } from '../wire/bytes.ts'
import {
  encodeInt32,
  encodeMessage,
  encodeRefusal,
  type FirstPacket,
  parseStartup,
  Refusal,
  readPassword,
  requestCodes,
  splitMessages,
} from '../wire/postgres-messages.ts'
import type { Attempt, Judgement } from './gate.ts'
import { beginHandshake, describeClient, finish, type Handshake, type Site } from './handshake.ts'
import { type Beginning, negotiate, refuseDirectTls } from './postgres-negotiation.ts'
import { agreeProtocol, findServerVersion, requireProtocol3 } from './postgres-protocol.ts'
import { askInVain } from './postgres-scram.ts'
import { loginUpstream, reachPostgres, type UpstreamLogin } from './postgres-upstream.ts'
import { quote } from './token-text.ts'
import { UpstreamRefusal } from './upstream.ts'

/**
 * Serves a client that speaks PostgreSQL's protocol: TLS, authentication by token, then everything both ways.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html
 */
export async function servePostgres(socket: Socket, site: Site): Promise<void> {
  const handshake = beginHandshake(socket, site)
  try {
    const beginning = await negotiate(handshake)
    if (beginning.packet.code === requestCodes.cancel) await forwardCancel(handshake, beginning.packet)
    else await openSession(handshake, beginning)
  } catch (error) {
    handshake.drop()
    if (error instanceof Refusal) finish(handshake.stream, encodeRefusal(error))
    // What it was told before is still on its way out.
    else handshake.stream.destroySoon()
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

async function openSession(handshake: Handshake, beginning: Beginning): Promise<void> {
  const { site, stream } = handshake
  const { packet, isDirect } = beginning
  requireProtocol3(packet, site.serverVersion)
  const parameters = parseStartup(packet.bytes)
  const protocol = agreeProtocol(packet, parameters, site.serverVersion)
  if (protocol.answer !== undefined) {
    // It leaves in one piece with what follows, so that it arrives where a client has no more to say.
    stream.cork()
    stream.write(protocol.answer)
    process.nextTick(() => stream.uncork())
  }
  const attempt = describeAttempt(stream, parameters)
  const { user, database } = attempt
  if (attempt.tls === undefined) {
    site.gate.record(attempt, { reason: 'NotEncrypted', detail: 'the client did not ask for TLS' })
    const host = stream.remoteAddress ?? 'unknown'
    throw new Refusal(
      '28000',
      `no pg_hba.conf entry for host "${host}", user "${user}", database "${database}", no encryption`,
    )
  }

  const stranger = site.gate.judgeUser(user)
  if (stranger !== undefined) {
    // At once: most clients leave where they are asked for what they do not have.
    site.gate.record(attempt, stranger)
    await askInVain(stream, user)
  }
  stream.write(encodeMessage('R', encodeInt32(3)))
  const token = await readPassword(stream)
  const judgement = site.gate.judge(attempt, token)
  if (judgement.reason !== undefined) {
    site.gate.record(attempt, judgement)
    throw token === ''
      ? new Refusal('28P01', 'empty password returned by client')
      : new Refusal('28000', `PAM authentication failed for user "${user}"`)
  }

  const login = await logIn(handshake, protocol.startup, attempt, judgement)
  const messages = splitMessages(login.answer)
  site.serverVersion = findServerVersion(messages) ?? site.serverVersion
  if (isDirect) refuseDirectTls(site, attempt)
  const { error } = login
  const after = error && `; the upstream then refused the session: ${error.sqlState} ${quote(error.message)}`
  site.gate.record(attempt, { ...judgement, detail: `${judgement.detail}${after ?? ''}` })
  // The client was told which version of the protocol there is.
  const answer = Buffer.concat(messages.filter(({ type }) => type !== 'v').map(({ bytes }) => bytes))
  if (error !== undefined) {
    login.socket.destroy()
    finish(stream, answer)
    return
  }
  handshake.done()
  stream.write(answer)
  join(stream, login.socket)
}

/** Logs in at the upstream; where there is no answer, puts that into the decision log. */
async function logIn(
  handshake: Handshake,
  startup: Buffer,
  attempt: Attempt,
  judgement: Judgement,
): Promise<UpstreamLogin> {
  const { gate, upstream } = handshake.site
  try {
    return await loginUpstream(upstream, startup, attempt.user, handshake.tie)
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
