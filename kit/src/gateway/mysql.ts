import type { Socket } from 'node:net'
import { agreeCapabilities, offerCapabilities } from '../wire/mysql-capabilities.ts'
import { findChangeUser, joinCommands } from '../wire/mysql-commands.ts'
import { type Dialogue, hear, readFrom, say } from '../wire/mysql-dialogue.ts'
import { encodeGreeting, makeSalt, standInGreeting } from '../wire/mysql-greeting.ts'
import {
  type HandshakeResponse,
  isSslRequest,
  type Login,
  parseChangeUser,
  parseHandshakeResponse,
} from '../wire/mysql-login.ts'
import { encodeError, encodePacket, MysqlRefusal } from '../wire/mysql-packets.ts'
import type { Attempt } from './gate.ts'
import { beginHandshake, describeClient, finish, type Handshake, type Site, startTls } from './handshake.ts'
import { admit, enter } from './mysql-admission.ts'
import {
  changeUpstreamUser,
  type GreetedUpstream,
  greetUpstream,
  loginUpstream,
  type UpstreamAnswer,
} from './mysql-upstream.ts'
import { UpstreamRefusal } from './upstream.ts'

/**
 * Serves a client that speaks MySQL's protocol: TLS, authentication by token, then everything both ways.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
export async function serveMysql(socket: Socket, site: Site): Promise<void> {
  const handshake = beginHandshake(socket, site)
  const dialogue: Dialogue = { stream: socket, sequence: 0 }
  try {
    await openSession(handshake, dialogue)
  } catch (error) {
    handshake.drop()
    end(dialogue, error)
  }
}

async function openSession(handshake: Handshake, dialogue: Dialogue): Promise<void> {
  const { site } = handshake
  // Its thread id is in the greeting, and `KILL` needs the true one: so the upstream is asked
  // before the client is.
  const upstream = await awaitUpstream(handshake)
  const greeting = upstream instanceof Error ? standInGreeting : upstream.greeting
  const offered = offerCapabilities(greeting.capabilities)
  say(dialogue, encodeGreeting(greeting, offered, makeSalt()))
  const response = await takeResponse(handshake, dialogue)
  const attempt = describeAttempt(dialogue, response)
  if (attempt.tls === undefined) {
    site.gate.record(attempt, { reason: 'NotEncrypted', detail: 'the client did not ask for TLS' })
    throw new MysqlRefusal(
      3159,
      'HY000',
      'Connections using insecure transport are prohibited while --require_secure_transport=ON.',
    )
  }

  const judgement = await admit(dialogue, site.gate, attempt, response, greeting.serverVersion)
  const capabilities = agreeCapabilities(response.capabilities, offered)
  const answer = await enter(site.gate, attempt, judgement, () =>
    logIn(handshake, upstream, response, capabilities),
  )
  const packet = encodePacket(dialogue.sequence, answer.body)
  if (answer.error !== undefined) {
    handshake.drop()
    finish(dialogue.stream, packet)
    return
  }
  handshake.done()
  dialogue.stream.write(packet)
  const { serverVersion } = greeting
  const session = { upstream: answer.socket, serverVersion, capabilities }
  joinCommands(dialogue.stream, answer.socket, findChangeUser(), () =>
    changeUser(site, dialogue.stream, session),
  )
}

/**
 * Connects to the upstream and takes its greeting, or what came instead; half of the
 * handshake timeout is for it.
 */
async function awaitUpstream(handshake: Handshake): Promise<GreetedUpstream | Error> {
  const { upstream, handshakeTimeoutMs } = handshake.site
  const giveUp = () => handshake.awaited?.destroy(new Error('the upstream did not greet in time'))
  const timer = setTimeout(giveUp, handshakeTimeoutMs / 2)
  try {
    return await greetUpstream(upstream, handshake.tie)
  } catch (error) {
    return reasonOf(handshake.awaited, error)
  } finally {
    clearTimeout(timer)
    handshake.awaited = undefined
  }
}

/** What the client says of itself; over TLS, where it asks for that. */
async function takeResponse(handshake: Handshake, dialogue: Dialogue): Promise<HandshakeResponse> {
  const first = await hear(dialogue)
  if (!isSslRequest(first)) return readFrom(() => parseHandshakeResponse(first))
  // Whatever is behind the request, the client's TLS has begun with it: nothing in plaintext
  // is looked at any more.
  dialogue.stream = await startTls(handshake)
  const second = await hear(dialogue)
  return readFrom(() => parseHandshakeResponse(second))
}

/** @throws {Error} With the true reason, where there is no upstream to log in at. */
async function logIn(
  handshake: Handshake,
  upstream: GreetedUpstream | Error,
  response: HandshakeResponse,
  capabilities: number,
): Promise<UpstreamAnswer> {
  if (upstream instanceof Error) throw upstream
  handshake.awaited = upstream.socket
  try {
    return await loginUpstream(handshake.site.upstream, upstream, response, capabilities, handshake.tie)
  } catch (error) {
    throw reasonOf(handshake.awaited, error)
  }
}

/** A session at the upstream, as far as a change of its user has to do with it. */
interface Session {
  readonly upstream: Socket
  readonly serverVersion: Buffer
  readonly capabilities: number
}

/** Within a session: another user, or the same one afresh, needs a token as at the start. */
async function changeUser(site: Site, stream: Socket, session: Session): Promise<void> {
  const { upstream, serverVersion, capabilities } = session
  const dialogue: Dialogue = { stream, sequence: 0 }
  try {
    const body = await hear(dialogue)
    const login = await readFrom(() => parseChangeUser(body))
    const attempt = describeAttempt(dialogue, login)
    const judgement = await admit(dialogue, site.gate, attempt, login, serverVersion)
    const answer = await enter(site.gate, attempt, judgement, () =>
      changeUpstreamUser(site.upstream, upstream, login, capabilities),
    )
    say(dialogue, answer.body)
  } catch (error) {
    end(dialogue, error)
    // In order: what breaks at the upstream breaks the client, which is still to be told.
    upstream.end().resume()
    throw error
  }
}

function describeAttempt({ stream }: Dialogue, { user, database }: Login): Attempt {
  return { ...describeClient(stream), user, database: database.toString('utf8') }
}

/** Tells the client what went wrong, where it can be told, and ends its connection. */
function end({ stream, sequence }: Dialogue, error: unknown): void {
  if (error instanceof MysqlRefusal) finish(stream, encodePacket(sequence, encodeError(error)))
  else stream.destroy()
}

/** Why a socket broke says more than that it did. */
function reasonOf(socket: Socket | undefined, error: unknown): Error {
  if (error instanceof UpstreamRefusal) return error
  return socket?.errored ?? (error instanceof Error ? error : new Error('unknown'))
}
