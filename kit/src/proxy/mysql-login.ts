import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { LoginAttempt } from 'middy-rds-iam/login-source'
import { agreeCapabilities, capability, offerCapabilities } from '../wire/mysql-capabilities.ts'
import { type Greeting, parseGreeting } from '../wire/mysql-greeting.ts'
import {
  encodeChangeUser,
  encodeHandshakeResponse,
  type HandshakeResponse,
  type Login,
  sslRequestLength,
} from '../wire/mysql-login.ts'
import { encodePacket, MalformedPacket, parseError, readFields, readPacket } from '../wire/mysql-packets.ts'
import { dial } from './dial.ts'
import { explainPacket, serverErrorOf } from './mysql-errors.ts'

/** A session of the database's. */
export interface MysqlSession {
  readonly socket: TLSSocket
  /** The server's own, in which it has another thread id than the client was told. */
  readonly greeting: Greeting
  /** Agreed upon between the client and the server. */
  readonly capabilities: number
  /** The packet OK: what the client is to be told. */
  readonly answer: Buffer
  /** Gives a token for the session, which authenticates again when it changes its user. */
  readonly token: LoginAttempt['token']
}

/**
 * Logs in with what a client said of itself, over verified TLS, and answers with the token.
 *
 * @param hold Is given each socket at once.
 * @throws {ServerError} Where the server refuses the session.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
export function logIn(
  attempt: LoginAttempt,
  response: HandshakeResponse,
  hold: (socket: Socket) => void,
): Promise<MysqlSession> {
  return dial(attempt, hold, async line => {
    try {
      const plain = await line.reach()
      const { body } = await readPacket(plain, 0)
      if (body[0] === 0xff) throw serverErrorOf(parseError(body))
      const greeting = parseGreeting(body)
      if ((greeting.capabilities & capability.ssl) === 0) throw noTls()
      const capabilities = agreeCapabilities(response.capabilities, offerCapabilities(greeting.capabilities))
      const first = encodeHandshakeResponse(response, (capabilities | capability.ssl) >>> 0, firstAnswer)
      plain.write(encodePacket(1, first.subarray(0, sslRequestLength)))
      const socket = await line.encrypt()
      socket.write(encodePacket(2, first))
      const { token } = attempt
      return { socket, greeting, capabilities, answer: await authenticate(socket, token), token }
    } catch (error) {
      throw explainPacket(error)
    }
  })
}

/**
 * The same within a session: COM_CHANGE_USER.
 *
 * @returns The packet OK.
 * @throws {ServerError} Where the server refuses it.
 */
export function changeUser({ socket, capabilities, token }: MysqlSession, login: Login): Promise<Buffer> {
  socket.write(encodePacket(0, encodeChangeUser(login, capabilities, firstAnswer)))
  return authenticate(socket, token)
}

/**
 * A plugin that no IAM user has, and no answer: so that the server asks for the token, and what becomes of it
 * is known.
 */
const firstAnswer = { plugin: 'mysql_native_password', answer: Buffer.alloc(0) }
const tokenPlugin = 'mysql_clear_password'

async function authenticate(socket: TLSSocket, token: LoginAttempt['token']): Promise<Buffer> {
  for (;;) {
    const { sequence, body } = await readPacket(socket)
    if (body[0] === 0x00) return body
    if (body[0] === 0xff) throw serverErrorOf(parseError(body))
    if (body[0] !== 0xfe) throw new MalformedPacket('the server sent no packet of a login')
    const fields = readFields(body.subarray(1))
    const plugin = fields.left === 0 ? 'mysql_old_password' : fields.text().toString('latin1')
    if (plugin !== tokenPlugin)
      throw new Error(`The server asked for a password by ${plugin}, not for a token`)
    socket.write(encodePacket(sequence + 1, Buffer.from(`${await token(socket)}\0`)))
  }
}

function noTls(): Error {
  const message = 'the server has no TLS'
  return Object.assign(new Error(message), { code: 'HANDSHAKE_NO_SSL_SUPPORT' })
}
