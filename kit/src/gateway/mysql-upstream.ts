import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { capability } from '../wire/mysql-capabilities.ts'
import { type Greeting, parseGreeting } from '../wire/mysql-greeting.ts'
import {
  encodeChangeUser,
  encodeHandshakeResponse,
  type HandshakeResponse,
  type Login,
  sslRequestLength,
} from '../wire/mysql-login.ts'
import {
  encodePacket,
  MalformedPacket,
  type MysqlRefusal,
  parseError,
  readFields,
  readPacket,
} from '../wire/mysql-packets.ts'
import { answerMore, answerPlugin } from './mysql-passwords.ts'
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

/** An upstream that waits for a login. */
export interface GreetedUpstream {
  readonly socket: Socket
  readonly greeting: Greeting
}

/** What the upstream said to a login. */
export interface UpstreamAnswer {
  /** Where the session goes on. */
  readonly socket: Socket
  /** What the client is to be told: OK, or the error. */
  readonly body: Buffer
  /** Set where it refused the session: an unknown database, for example. */
  readonly error?: MysqlRefusal
}

/**
 * Connects to the upstream and takes its greeting.
 *
 * @throws {Error} Where the upstream cannot be reached; {@link MysqlRefusal} in its own words, where it has
 * too many connections for example; {@link UpstreamRefusal} where it takes nobody from the gateway's address.
 */
export async function greetUpstream(upstream: Upstream, hold: Hold): Promise<GreetedUpstream> {
  const socket = await reachUpstream(upstream, hold)
  const { body } = await readPacket(socket, 0)
  if (body[0] !== 0xff) return { socket, greeting: parseGreeting(body) }
  const error = parseError(body)
  throw error.errno === 1130 ? new UpstreamRefusal(`The server behind the gateway: ${error.message}`) : error
}

/**
 * Goes on over TLS, where that is needed.
 *
 * @param response What the login will begin with.
 * @throws {UpstreamRefusal} Where the upstream is not trusted.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html
 */
export async function secureMysql(
  upstream: Upstream,
  { socket, greeting }: GreetedUpstream,
  response: Buffer,
  hold: Hold,
): Promise<Socket> {
  const { tls } = upstream
  if (tls === undefined) return socket
  if ((greeting.capabilities & capability.ssl) === 0) throw withoutTls(upstream)
  socket.write(encodePacket(1, response.subarray(0, sslRequestLength)))
  return secureUpstream(upstream, tls, socket, hold)
}

/** Logs in with what the client said, and with the password that the gateway has for the user, or none. */
export async function loginUpstream(
  upstream: Upstream,
  greeted: GreetedUpstream,
  response: HandshakeResponse,
  agreed: number,
  hold: Hold,
): Promise<UpstreamAnswer> {
  const { plugin, salt } = greeted.greeting
  const password = upstream.password(response.user)
  const capabilities = upstream.tls === undefined ? agreed : (agreed | capability.ssl) >>> 0
  const encode = (answer: Buffer) => encodeHandshakeResponse(response, capabilities, { plugin, answer })
  const socket = await secureMysql(upstream, greeted, encode(Buffer.alloc(0)), hold)
  const isEncrypted = socket instanceof TLSSocket
  const answer = answerPlugin({ plugin, password: password ?? '', salt, isEncrypted })
  const first = encodePacket(isEncrypted ? 2 : 1, encode(answer))
  return authenticate(upstream, socket, first, { user: response.user, password, plugin, salt })
}

/**
 * The same within a session: COM_CHANGE_USER. The salt of the greeting counts for nothing any more: the
 * upstream asks with a new one, as the first answer is for a plugin that no user of it has.
 */
export async function changeUpstreamUser(
  upstream: Upstream,
  socket: Socket,
  login: Login,
  capabilities: number,
): Promise<UpstreamAnswer> {
  const plugin = 'mysql_clear_password'
  const first = encodeChangeUser(login, capabilities, { plugin, answer: Buffer.alloc(0) })
  const { user } = login
  const password = upstream.password(user)
  return authenticate(upstream, socket, encodePacket(0, first), {
    user,
    password,
    plugin,
    salt: Buffer.alloc(0),
  })
}

/** How a login begins. */
interface Beginning {
  readonly user: string
  readonly password: string | undefined
  readonly plugin: string
  readonly salt: Buffer
}

/**
 * Answers for the client until the upstream lets it in or refuses it.
 *
 * @throws {UpstreamRefusal} Where it does not let the gateway in.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
async function authenticate(
  upstream: Upstream,
  socket: Socket,
  first: Buffer,
  beginning: Beginning,
): Promise<UpstreamAnswer> {
  const { user, password } = beginning
  const isEncrypted = socket instanceof TLSSocket
  let question = { ...beginning, password: password ?? '', isEncrypted }
  socket.write(first)
  for (;;) {
    const { sequence, body } = await readPacket(socket)
    const reply = (answer: Buffer) => void socket.write(encodePacket(sequence + 1, answer))
    switch (body[0]) {
      case 0x00:
        return { socket, body }
      case 0xff: {
        const error = parseError(body)
        const defect = loginErrors.get(error.errno)
        if (defect === undefined) return { socket, body, error }
        const words = `${error.message} (${error.errno})`
        throw refusedLogin(upstream, user, words, defect, password !== undefined)
      }
      case 0xfe: {
        const fields = readFields(body.subarray(1))
        const plugin = fields.left === 0 ? 'mysql_old_password' : fields.text().toString('latin1')
        question = { ...question, plugin, salt: fields.rest() }
        reply(answerPlugin(question))
        break
      }
      case undefined:
        throw new MalformedPacket('the upstream sent no packet of a login')
      default: {
        // MySQL puts a byte before what a plugin says, MariaDB only where it would be taken for another
        // packet.
        const answer = answerMore(question, body[0] === 0x01 ? body.subarray(1) : body)
        if (answer !== undefined) reply(answer)
      }
    }
  }
}

/**
 * Errors that are about the gateway's login. What a server has against the database, or has too many of, a
 * client may hear in the server's words.
 *
 * @see https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 * @see https://mariadb.com/docs/server/reference/error-codes
 */
const loginErrors: ReadonlyMap<number, LoginDefect> = new Map([
  // ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR: the password, or a user with REQUIRE SSL
  [1045, 'either'],
  [1698, 'either'],
  // ER_MUST_CHANGE_PASSWORD_LOGIN
  [1862, 'other'],
  // ER_NOT_SUPPORTED_AUTH_MODE, ER_PLUGIN_IS_NOT_LOADED
  [1251, 'other'],
  [1524, 'other'],
  // ER_SECURE_TRANSPORT_REQUIRED
  [3159, 'transport'],
])
