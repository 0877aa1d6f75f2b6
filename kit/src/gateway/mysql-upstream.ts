import type { Socket } from 'node:net'
import { type Greeting, parseGreeting } from '../wire/mysql-greeting.ts'
import {
  encodeChangeUser,
  encodeHandshakeResponse,
  type HandshakeResponse,
  type Login,
} from '../wire/mysql-login.ts'
import {
  encodePacket,
  MalformedPacket,
  type MysqlRefusal,
  parseError,
  readFields,
  readPacket,
} from '../wire/mysql-packets.ts'
import { answerPlugin } from '../wire/mysql-scrambles.ts'
import { answerFullAuthentication } from './mysql-passwords.ts'
import { reachUpstream, type Upstream } from './upstream.ts'

/** An upstream that waits for a login. */
export interface GreetedUpstream {
  readonly socket: Socket
  readonly greeting: Greeting
}

/** What the upstream said to a login. */
export interface UpstreamAnswer {
  /** What the client is to be told: OK, or the error. */
  readonly body: Buffer
  /** Set where it refused the session: an unknown database, for example. */
  readonly error?: MysqlRefusal
}

/**
 * Connects to the upstream and takes its greeting.
 *
 * @param hold Is given the socket at once, so that it can be ended from outside.
 * @throws {Error} Where the upstream cannot be reached; {@link MysqlRefusal} in its own words, where it has
 * too many connections for example.
 */
export async function greetUpstream(
  upstream: Upstream,
  hold: (socket: Socket) => void,
): Promise<GreetedUpstream> {
  const socket = await reachUpstream(upstream, hold)
  const { body } = await readPacket(socket, 0)
  if (body[0] === 0xff) throw parseError(body)
  return { socket, greeting: parseGreeting(body) }
}

/** Logs in with what the client said, and with the password that the gateway has for the user, or none. */
export function loginUpstream(
  { socket, greeting }: GreetedUpstream,
  response: HandshakeResponse,
  capabilities: number,
  password: string,
): Promise<UpstreamAnswer> {
  const { plugin, salt } = greeting
  const answer = answerPlugin(plugin, password, salt)
  const first = encodeHandshakeResponse(response, capabilities, { plugin, answer })
  return authenticate(socket, encodePacket(1, first), salt, plugin, password)
}

/**
 * The same within a session: COM_CHANGE_USER. The salt of the greeting counts for nothing any more: the
 * upstream asks with a new one, as the first answer is for a plugin that no user of it has.
 */
export function changeUpstreamUser(
  { socket }: GreetedUpstream,
  login: Login,
  capabilities: number,
  password: string,
): Promise<UpstreamAnswer> {
  const plugin = 'mysql_clear_password'
  const first = encodeChangeUser(login, capabilities, { plugin, answer: Buffer.alloc(0) })
  return authenticate(socket, encodePacket(0, first), Buffer.alloc(0), plugin, password)
}

/**
 * Answers for the client until the upstream lets it in or refuses it.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
 */
async function authenticate(
  socket: Socket,
  first: Buffer,
  firstSalt: Buffer,
  firstPlugin: string,
  password: string,
): Promise<UpstreamAnswer> {
  let salt = firstSalt
  let plugin = firstPlugin
  socket.write(first)
  for (;;) {
    const { sequence, body } = await readPacket(socket)
    const reply = (answer: Buffer) => void socket.write(encodePacket(sequence + 1, answer))
    switch (body[0]) {
      case 0x00:
        return { body }
      case 0xff:
        return { body, error: parseError(body) }
      case 0xfe: {
        const fields = readFields(body.subarray(1))
        plugin = fields.left === 0 ? 'mysql_old_password' : fields.text().toString('latin1')
        salt = fields.rest().subarray(0, 20)
        reply(answerPlugin(plugin, password, salt))
        break
      }
      case 0x01: {
        const answer = answerFullAuthentication(plugin, body.subarray(1), password, salt)
        if (answer !== undefined) reply(answer)
        break
      }
      default:
        throw new MalformedPacket('the upstream sent no packet of a login')
    }
  }
}
