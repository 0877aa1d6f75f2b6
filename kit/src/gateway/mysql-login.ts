import { capability, neededCapabilities } from './mysql-capabilities.ts'
import { limitMariadbCapabilities } from './mysql-greeting.ts'
import {
  encodeInt16,
  encodeInt32,
  encodeLengthEncoded,
  encodeText,
  MalformedPacket,
  readFields,
} from './mysql-packets.ts'

/** What a client says in front of its authentication: in its first packet, or in COM_CHANGE_USER. */
export interface Login {
  readonly user: string
  /** As it came; empty for none. */
  readonly database: Buffer
  /** The number of a collation. */
  readonly charset: number
  /** As it came, without its length; absent where the client sent none. */
  readonly attributes: Buffer | undefined
}

/**
 * The first packet of a client, but for its authentication, which is of no use: a token
 * was not asked for yet.
 */
export interface HandshakeResponse extends Login {
  readonly capabilities: number
  readonly maxPacketSize: number
  /** MariaDB's own capabilities in its last four bytes. */
  readonly reserved: Buffer
}

/** How a connection begins, whether it is to be encrypted or not. */
export const sslRequestLength = 32

export function isSslRequest(body: Buffer): boolean {
  return body.length === sslRequestLength && (body.readUInt32LE() & capability.ssl) !== 0
}

/**
 * @throws {MalformedPacket} Where it is none, or that of a client that knows no plugins.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
 */
export function parseHandshakeResponse(body: Buffer): HandshakeResponse {
  const fields = readFields(body)
  const capabilities = fields.int(4)
  const has = (flag: number): boolean => (capabilities & flag) !== 0
  if ((capabilities & neededCapabilities) !== neededCapabilities)
    throw new MalformedPacket('the client knows no authentication plugins')
  const maxPacketSize = fields.int(4)
  const charset = fields.int(1)
  const reserved = fields.bytes(23)
  const user = parseUser(fields.text(), charset)
  if (has(capability.lengthEncodedAuth)) fields.lengthEncoded()
  else fields.bytes(fields.int(1))
  const database = has(capability.connectWithDatabase) ? fields.text() : Buffer.alloc(0)
  // The name of the client's plugin: it will be told which one is wanted.
  fields.text()
  const attributes = has(capability.connectAttributes) && fields.left > 0 ? fields.lengthEncoded() : undefined
  return { capabilities, maxPacketSize, charset, reserved, user, database, attributes }
}

export function encodeHandshakeResponse(
  response: HandshakeResponse,
  capabilities: number,
  authentication: { readonly plugin: string; readonly answer: Buffer },
): Buffer {
  const reserved =
    (capabilities & capability.longPassword) === 0
      ? limitMariadbCapabilities(response.reserved)
      : response.reserved
  const withDatabase = (capabilities & capability.connectWithDatabase) !== 0
  const withAttributes = (capabilities & capability.connectAttributes) !== 0
  return Buffer.concat([
    encodeInt32(capabilities),
    encodeInt32(response.maxPacketSize),
    Buffer.from([response.charset]),
    reserved,
    encodeText(response.user),
    encodeLengthEncoded(authentication.answer),
    ...(withDatabase ? [encodeText(response.database)] : []),
    encodeText(authentication.plugin),
    ...(withAttributes ? [encodeLengthEncoded(response.attributes ?? Buffer.alloc(0))] : []),
  ])
}

/** The first byte of COM_CHANGE_USER. */
export const changeUserCommand = 0x11

/**
 * @throws {MalformedPacket} Where it is none.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
 */
export function parseChangeUser(body: Buffer): Login {
  const fields = readFields(body)
  if (fields.int(1) !== changeUserCommand) throw new MalformedPacket()
  const user = fields.text()
  fields.bytes(fields.int(1))
  const database = fields.text()
  // Clients leave out what they have nothing to say about.
  const charset = fields.left > 0 ? fields.int(2) : 0
  if (fields.left > 0) fields.text()
  const attributes = fields.left > 0 ? fields.lengthEncoded() : undefined
  return { user: parseUser(user, charset), database, charset, attributes }
}

/** @param capabilities As agreed upon with the upstream. */
export function encodeChangeUser(
  { user, database, charset, attributes }: Login,
  capabilities: number,
  { plugin, answer }: { readonly plugin: string; readonly answer: Buffer },
): Buffer {
  const withAttributes = (capabilities & capability.connectAttributes) !== 0
  return Buffer.concat([
    Buffer.from([changeUserCommand]),
    encodeText(user),
    Buffer.from([answer.length]),
    answer,
    encodeText(database),
    encodeInt16(charset),
    encodeText(plugin),
    ...(withAttributes ? [encodeLengthEncoded(attributes ?? Buffer.alloc(0))] : []),
  ])
}

/**
 * The server reads the name in the client's character set. It must be the same name here, or the
 * gateway would verify one user and log in another: so it is ASCII, which all of them share, or UTF-8
 * in a session that is.
 */
function parseUser(bytes: Buffer, charset: number): string {
  const text = bytes.toString('utf8')
  const isAscii = bytes.every(byte => byte < 0x80)
  if (!isAscii && !(isUtf8(charset) && Buffer.from(text).equals(bytes)))
    throw new MalformedPacket('the user name is not UTF-8')
  return text
}

/** Whether the number is that of a collation of utf8mb3 or utf8mb4. */
function isUtf8(charset: number): boolean {
  const ranges = [
    [33, 33],
    [45, 46],
    [76, 76],
    [83, 83],
    [192, 215],
    [223, 247],
    [255, 323],
  ] as const
  return ranges.some(([first, last]) => charset >= first && charset <= last)
}
