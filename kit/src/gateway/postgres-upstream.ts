import type { Socket } from 'node:net'
import { readExactly } from '../wire/bytes.ts'
import {
  encodeInt32,
  encodeMessage,
  parseErrorResponse,
  readMessage,
  requestCodes,
} from '../wire/postgres-messages.ts'
import { makeAuthenticator } from './postgres-passwords.ts'
import {
  type Hold,
  type LoginDefect,
  reachUpstream,
  refusedLogin,
  secureUpstream,
  type Upstream,
  UpstreamRefusal,
  withoutTls,
} from './upstream.ts'

/** A login at the upstream that came to an answer. */
export interface UpstreamLogin {
  readonly socket: Socket
  /** What the client is to be sent first: all up to ReadyForQuery, or up to the upstream's own error. */
  readonly answer: Buffer
  /** The upstream's error, where it refused the session: an unknown database, for example. */
  readonly error?: { readonly sqlState: string; readonly message: string }
}

/**
 * Connects to the upstream, over TLS where that is needed.
 *
 * @throws {Error} Where it cannot be reached; {@link UpstreamRefusal} where it is not trusted.
 */
export async function reachPostgres(upstream: Upstream, hold: Hold): Promise<Socket> {
  const socket = await reachUpstream(upstream, hold)
  const { tls } = upstream
  if (tls === undefined) return socket
  if (!(await askForTls(socket))) throw withoutTls(upstream)
  return secureUpstream(upstream, tls, socket, hold, ['postgresql'])
}

/**
 * Asks the upstream whether it speaks TLS.
 *
 * @throws {Error} Where it does not answer as PostgreSQL does. Its answer is one byte: what comes behind it
 * in plain text must not be taken for something that came over TLS (CVE-2021-23222).
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL
 */
export async function askForTls(socket: Socket): Promise<boolean> {
  socket.write(Buffer.concat([encodeInt32(8), encodeInt32(requestCodes.ssl)]))
  const answer = (await readExactly(socket, 1)).toString('latin1')
  if (socket.readableLength === 0 && (answer === 'S' || answer === 'N')) return answer === 'S'
  throw new Error('the upstream does not speak as PostgreSQL does')
}

/**
 * Connects to the upstream, replays the client's startup packet and answers for the client until the upstream
 * lets it in or refuses it.
 *
 * @throws {Error} Where the upstream cannot be reached; {@link UpstreamRefusal} where it does not let the
 * gateway in.
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export async function loginUpstream(
  upstream: Upstream,
  startup: Buffer,
  user: string,
  hold: Hold,
): Promise<UpstreamLogin> {
  const socket = await reachPostgres(upstream, hold)
  socket.write(startup)
  const passed: Buffer[] = []
  const authenticator = makeAuthenticator(user, () => passwordOf(upstream, user))
  for (;;) {
    const message = await readMessage(socket)
    const isAboutLogin = message.type === 'R'
    if (isAboutLogin && message.body.readInt32BE() !== 0) {
      const reply = await authenticator.answer(message.body)
      if (reply !== undefined) socket.write(encodeMessage('p', reply))
      continue
    }
    if (isAboutLogin) authenticator.finish()
    passed.push(message.bytes)
    if (message.type === 'Z') return { socket, answer: Buffer.concat(passed) }
    if (message.type === 'E') {
      const error = parseErrorResponse(message.body)
      const defect = defectOf(error)
      if (defect === undefined) return { socket, answer: Buffer.concat(passed), error }
      const words = `${error.message} (${error.sqlState})`
      throw refusedLogin(upstream, user, words, defect, upstream.password(user) !== undefined)
    }
  }
}

function passwordOf(upstream: Upstream, user: string): string {
  const password = upstream.password(user)
  if (password !== undefined) return password
  throw refusedLogin(upstream, user, 'it wants a password', 'password', false)
}

/**
 * What kept the gateway out; nothing where the server has something against the user or the session, which
 * the client may hear in the server's words. The words are translated, the names of functions are not.
 *
 * @see https://www.postgresql.org/docs/18/protocol-error-fields.html
 */
function defectOf({
  sqlState,
  routine,
  message,
}: ReturnType<typeof parseErrorResponse>): LoginDefect | undefined {
  // PgBouncer has one code for whatever it says, and does not translate.
  if (sqlState === '08P01') {
    if (message === 'SSL required') return 'transport'
    return /authentication failed/.test(message) ? 'password' : undefined
  }
  // Class 28, Invalid Authorization Specification; that function looks the user up once it is known who it
  // is.
  if (!sqlState.startsWith('28') || routine === 'InitializeSessionUserId') return undefined
  // pg_hba.conf has no line for the gateway, or one that rejects it.
  return routine === 'ClientAuthentication' ? 'transport' : 'password'
}
