import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import {
  encodeInt32,
  encodeMessage,
  encodeText,
  parseErrorResponse,
  readMessage,
} from '../wire/postgres-messages.ts'
import { reachUpstream, type Upstream } from './upstream.ts'

/** A login at the upstream that came to an answer. */
export interface UpstreamLogin {
  readonly socket: Socket
  /** What the client is to be sent first: all up to ReadyForQuery, or up to the upstream's own error. */
  readonly answer: Buffer
  /** The upstream's error, where it refused the session: an unknown database, for example. */
  readonly error?: { readonly sqlState: string; readonly message: string }
}

// What is used of pg's own implementation of SCRAM and MD5.
interface SaslSession {
  readonly mechanism: string
  readonly response: string
}
interface Sasl {
  startSession(mechanisms: string[], stream: null): SaslSession
  continueSession(session: SaslSession, password: string, serverData: string, stream: null): Promise<void>
  finalizeSession(session: SaslSession, serverData: string): void
}
interface PgCrypto {
  postgresMd5PasswordHash(user: string, password: string, salt: Buffer): Promise<string>
}

/**
 * Connects to the upstream, replays the client's startup packet and answers for the client until the upstream
 * lets it in or refuses it.
 *
 * @param hold Is given the socket at once, so that it can be ended from outside.
 * @throws {Error} Where the upstream cannot be reached or asks for what the gateway does not have.
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export async function loginUpstream(
  upstream: Upstream,
  startup: Buffer,
  user: string,
  hold: (socket: Socket) => void,
): Promise<UpstreamLogin> {
  const socket = await reachUpstream(upstream, hold)
  socket.write(startup)
  const passed: Buffer[] = []
  const authenticate = makeAuthenticator(upstream, user)
  for (;;) {
    const message = await readMessage(socket)
    const isRequest = message.type === 'R' && message.body.readInt32BE() !== 0
    if (isRequest) {
      const reply = await authenticate(message.body)
      if (reply !== undefined) socket.write(encodeMessage('p', reply))
      continue
    }
    passed.push(message.bytes)
    if (message.type === 'Z') return { socket, answer: Buffer.concat(passed) }
    if (message.type === 'E')
      return { socket, answer: Buffer.concat(passed), error: parseErrorResponse(message.body) }
  }
}

/**
 * Gives a function from an authentication request's body to the body of the answer, if there is to be one.
 */
function makeAuthenticator(upstream: Upstream, user: string): (body: Buffer) => Promise<Buffer | undefined> {
  let session: SaslSession | undefined
  const password = (): string => {
    const text = upstream.password(user)
    if (text === undefined)
      throw new Error('the upstream asks for a password, and `upstream.password` gives none')
    return text
  }
  return async body => {
    const method = body.readInt32BE()
    const data = body.subarray(4)
    switch (method) {
      case 3:
        return encodeText(password())
      case 5:
        return encodeText(
          await loadPg<PgCrypto>('utils').postgresMd5PasswordHash(user, password(), data.subarray(0, 4)),
        )
      case 10: {
        const mechanisms = data.toString('utf8').split('\0').filter(Boolean)
        session = loadPg<Sasl>('sasl').startSession(mechanisms, null)
        const response = Buffer.from(session.response)
        return Buffer.concat([encodeText(session.mechanism), encodeInt32(response.length), response])
      }
      case 11:
        if (session === undefined) break
        await loadPg<Sasl>('sasl').continueSession(session, password(), data.toString('utf8'), null)
        return Buffer.from(session.response)
      case 12:
        if (session === undefined) break
        loadPg<Sasl>('sasl').finalizeSession(session, data.toString('utf8'))
        return undefined
    }
    throw new Error(`the upstream asks for authentication method ${method}, which the gateway does not have`)
  }
}

const require = createRequire(import.meta.url)

/**
 * pg is an optional peer: it is loaded where an upstream asks for a password, by require as it is CommonJS
 * without types for this.
 */
function loadPg<T>(module: 'sasl' | 'utils'): T {
  try {
    return require(`pg/lib/crypto/${module}.js`) as T
  } catch (cause) {
    throw new Error('the upstream asks for a password; answering needs the package "pg" to be installed', {
      cause,
    })
  }
}
