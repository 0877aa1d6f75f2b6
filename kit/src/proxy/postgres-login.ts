import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { LoginAttempt, VerifiedTls } from 'middy-rds-iam/login-source'
import { readExactly } from '../wire/bytes.ts'
import {
  encodeInt32,
  encodeMessage,
  encodeText,
  parseErrorResponse,
  readMessage,
  requestCodes,
} from '../wire/postgres-messages.ts'
import { type Dialled, dial, type Line, ServerError } from './dial.ts'

/** A session of the database's. */
export interface PostgresSession {
  readonly socket: TLSSocket
  /** How its server was verified. */
  readonly tls: VerifiedTls
  /** What the client is to be sent first: from AuthenticationOk to ReadyForQuery. */
  readonly answer: Buffer
  /**
   * The body of BackendKeyData, which a request to cancel has to show; of a server that has none, nothing.
   */
  readonly key: Buffer | undefined
}

/**
 * Replays a client's startup packet over verified TLS, and answers with the token until there is a session.
 *
 * @param hold Is given each socket at once.
 * @throws {ServerError} Where the server refuses the session.
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export function logIn(
  attempt: LoginAttempt,
  startup: Buffer,
  hold: (socket: Socket) => void,
): Promise<PostgresSession> {
  return dial(attempt, hold, async line => {
    const socket = await encrypt(line)
    socket.write(startup)
    const passed: Buffer[] = []
    let key: Buffer | undefined
    for (;;) {
      const { type, body, bytes } = await readMessage(socket)
      if (type === 'R' && body.readInt32BE() !== 0) {
        socket.write(encodeMessage('p', encodeText(await answer(attempt, socket, body.readInt32BE()))))
        continue
      }
      if (type === 'E') {
        const { sqlState, message } = parseErrorResponse(body)
        throw new ServerError(sqlState, message)
      }
      if (type === 'K') key = body
      passed.push(bytes)
      if (type === 'Z') return { socket, tls: attempt.tls, answer: Buffer.concat(passed), key }
    }
  })
}

/** AuthenticationCleartextPassword, which alone is a request for a token; the others want a password. */
const cleartext = 3
const passwordMethods: Readonly<Record<number, string>> = { 5: 'MD5', 10: 'SCRAM' }

/** @see https://www.postgresql.org/docs/18/protocol-message-formats.html */
async function answer({ token }: LoginAttempt, socket: TLSSocket, method: number): Promise<string> {
  if (method === cleartext) return token(socket)
  const name = passwordMethods[method] ?? `method ${method}`
  throw new Error(`The server asked for a password by ${name}, not for a token`)
}

/**
 * Asks a server to cancel what a session is doing, over TLS as well: who sees the request could repeat it.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export function cancel(where: Dialled, request: Buffer, hold: (socket: Socket) => void): Promise<void> {
  return dial(where, hold, async line => {
    const socket = await encrypt(line)
    socket.end(request)
    socket.resume()
    // The server closes when it has passed the request on.
    await new Promise<void>(resolve => socket.once('close', () => resolve()))
  })
}

/** @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-SSL */
async function encrypt(line: Line): Promise<TLSSocket> {
  const plain = await line.reach()
  plain.write(Buffer.concat([encodeInt32(8), encodeInt32(requestCodes.ssl)]))
  const [said] = await readExactly(plain, 1)
  // Nothing that came in plaintext may be taken for something that came over TLS (CVE-2021-23222).
  if (plain.readableLength > 0) throw new Error('There was an error establishing an SSL connection')
  if (said === 0x53) return line.encrypt()
  throw new Error(
    said === 0x4e
      ? 'The server does not support SSL connections'
      : 'There was an error establishing an SSL connection',
  )
}
