import type { Socket } from 'node:net'
import type { RdsIamError } from 'middy-rds-iam'
import { join } from '../wire/bytes.ts'
import {
  encodeInt32,
  encodeMessage,
  encodeRefusal,
  encodeText,
  type FirstPacket,
  parseStartup,
  Refusal,
  readFirstPacket,
  readMessage,
  requestCodes,
} from '../wire/postgres-messages.ts'
import type { Cancels } from './cancels.ts'
import { ServerError } from './dial.ts'
import { logIn } from './postgres-login.ts'
import { type ScramVerifier, scramMechanism } from './scram.ts'
import { beginVisit, finish, type Site, tellFailure, tellRefusal, tellSession, type Visit } from './site.ts'

/** What the clients of PostgreSQL share. */
export interface PostgresParts {
  readonly site: Site
  /** Nothing where clients need no password. */
  readonly scram: ScramVerifier | undefined
  readonly cancels: Cancels
}

/**
 * Serves a client that speaks PostgreSQL's protocol: its password, a login at the database, then everything
 * both ways.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html
 */
export async function servePostgres(socket: Socket, parts: PostgresParts): Promise<void> {
  const visit = beginVisit(socket, parts.site)
  try {
    const packet = await negotiate(socket)
    if (packet.code === requestCodes.cancel) await forwardCancel(visit, parts, packet)
    else await openSession(visit, parts, packet)
  } catch (error) {
    visit.untie()
    if (error instanceof Refusal) {
      tellRefusal(visit, error.message)
      finish(socket, encodeRefusal(error))
    } else {
      socket.destroy()
    }
  }
}

/**
 * Comes to the first packet that is not about encryption, of which there is none on this side. Each way is asked
 * for once, as at PostgreSQL; a client that went on asking and read no answer would fill the memory.
 */
async function negotiate(socket: Socket): Promise<FirstPacket> {
  const ways: Set<number> = new Set([requestCodes.ssl, requestCodes.gssEncryption])
  for (;;) {
    const packet = await readFirstPacket(socket)
    if (!ways.delete(packet.code)) return packet
    socket.write('N')
  }
}

async function forwardCancel({ socket, untie }: Visit, { cancels }: PostgresParts, { bytes }: FirstPacket) {
  untie()
  socket.resume()
  // The client may take the end of its connection for the server's having seen the request.
  await cancels.pass(bytes).finally(() => finish(socket, Buffer.alloc(0)))
}

async function openSession(visit: Visit, parts: PostgresParts, packet: FirstPacket): Promise<void> {
  const { socket, site } = visit
  const major = packet.code >>> 16
  if (major !== 3) {
    const version = `${major}.${packet.code & 0xffff}`
    throw new Refusal('0A000', `unsupported frontend protocol ${version}: this port speaks 3.0 to 3.2`)
  }
  const parameters = parseStartup(packet.bytes)
  visit.user = parameters.get('user') ?? ''
  visit.database = parameters.get('database') || visit.user
  const { user } = site.source.target
  if (visit.user !== user)
    throw new Refusal(
      '28000',
      `this port of rds-iam proxy logs in as "${user}"; connect with this user, not as "${visit.user}"`,
    )
  if (parts.scram !== undefined) await askPassword(visit, parts.scram)
  visit.admitted()

  let session: Awaited<ReturnType<typeof logIn>>
  try {
    session = await site.source.open({
      database: visit.database,
      attempt: attempt => logIn(attempt, packet.bytes, visit.tie),
      discard: late => late.socket.destroy(),
    })
  } catch (error) {
    visit.untie()
    finish(socket, encodeRefusal(refusalOf(tellFailure(visit, error))))
    return
  }
  visit.untie()
  const { key } = session
  if (key !== undefined) socket.once('close', parts.cancels.add(key, session))
  tellSession(visit)
  socket.write(session.answer)
  join(socket, session.socket)
}

/** @throws {Refusal} Where the password is wrong. */
async function askPassword({ socket, user }: Visit, scram: ScramVerifier): Promise<void> {
  const wrong = new Refusal(
    '28P01',
    `password authentication failed for user "${user}": give the password that this port of rds-iam proxy was started with`,
  )
  const exchange = scram.begin()
  socket.write(encodeMessage('R', encodeInt32(10), encodeText(scramMechanism), Buffer.alloc(1)))
  const first = await readAnswer(socket)
  const end = first.indexOf(0)
  const challenge =
    first.toString('latin1', 0, Math.max(0, end)) === scramMechanism
      ? exchange.first(first.toString('latin1', end + 5))
      : undefined
  if (challenge === undefined) throw wrong
  socket.write(encodeMessage('R', encodeInt32(11), Buffer.from(challenge)))
  const outcome = exchange.final((await readAnswer(socket)).toString('latin1'))
  if (outcome === undefined) throw wrong
  socket.write(encodeMessage('R', encodeInt32(12), Buffer.from(outcome)))
}

/** SASLInitialResponse or SASLResponse. */
async function readAnswer(socket: Socket): Promise<Buffer> {
  const { type, body } = await readMessage(socket)
  if (type !== 'p') throw new Refusal('08P01', `expected SASL response, got message type ${type}`)
  return body
}

/** The server's own SQLSTATE where it has refused; else that of a client that cannot reach a server. */
function refusalOf({ message, cause }: RdsIamError): Refusal {
  const code = cause instanceof ServerError && /^[0-9A-Z]{5}$/.test(cause.code) ? cause.code : '08001'
  return new Refusal(code, message)
}
