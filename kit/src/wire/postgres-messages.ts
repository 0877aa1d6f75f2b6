import type { Readable } from 'node:stream'
import { PeerGone, readExactly } from './bytes.ts'

// https://www.postgresql.org/docs/18/protocol-message-formats.html
/** The codes that stand where a startup packet has its protocol version. */
export const requestCodes = { ssl: 80877103, gssEncryption: 80877104, cancel: 80877102 } as const

// As PostgreSQL's MAX_STARTUP_PACKET_LENGTH, in which the length does not count itself, and
// PG_MAX_AUTH_TOKEN_LENGTH, src/include/libpq.
const maxStartupLength = 10_004
const maxPasswordLength = 65_535
const maxLoginMessageLength = 1_048_576

/** A FATAL error in PostgreSQL's form: what the client is told before the connection ends. */
export class Refusal extends Error {
  readonly sqlState: string
  readonly detail: string | undefined
  /** The client speaks protocol 1 or 2, and is told in the form of that time. */
  readonly isBeforeProtocol3: boolean
  constructor(sqlState: string, message: string, detail?: string, isBeforeProtocol3 = false) {
    super(message)
    this.name = 'Refusal'
    this.sqlState = sqlState
    this.detail = detail
    this.isBeforeProtocol3 = isBeforeProtocol3
  }
}

/** The first packet of a connection: without a type, with a code. */
export interface FirstPacket {
  /** A protocol version, 196608 for 3.0, or one of the request codes. */
  readonly code: number
  /** The packet as it came, to be replayed. */
  readonly bytes: Buffer
}

/** A message with a type, as all are after the first packet. */
export interface Message {
  /** A letter, for example `'R'`. */
  readonly type: string
  readonly body: Buffer
  /** The message as it came, to be passed on. */
  readonly bytes: Buffer
}

/** @throws {PeerGone} Where it has no possible length: PostgreSQL tells that to its log alone. */
export async function readFirstPacket(stream: Readable): Promise<FirstPacket> {
  const head = await readExactly(stream, 4)
  const length = head.readInt32BE()
  if (length < 8 || length > maxStartupLength) throw new PeerGone('invalid length of startup packet')
  const bytes = Buffer.concat([head, await readExactly(stream, length - 4)])
  return { code: bytes.readInt32BE(4), bytes }
}

/** The parameters of a startup packet, `user` among them. @throws {Refusal} Where it is malformed. */
export function parseStartup(bytes: Buffer): ReadonlyMap<string, string> {
  const malformed = new Refusal('08P01', 'invalid startup packet layout: expected terminator as last byte')
  const parameters = new Map<string, string>()
  let offset = 8
  const next = (): string => {
    const end = bytes.indexOf(0, offset)
    if (end < 0) throw malformed
    const raw = bytes.subarray(offset, end)
    const text = raw.toString('utf8')
    // What is verified here must be what the server reads, to the byte.
    if (!Buffer.from(text).equals(raw))
      throw new Refusal('22021', 'invalid byte sequence for encoding "UTF8"')
    offset = end + 1
    return text
  }
  for (let name = next(); name !== ''; name = next()) parameters.set(name, next())
  if (offset !== bytes.length) throw malformed
  return parameters
}

/** What a PasswordMessage carries. @throws {Refusal} For any other message. */
export async function readPassword(stream: Readable): Promise<string> {
  const body = await readAnswer(stream, 'password', maxPasswordLength)
  if (body.length === 0 || body.indexOf(0) !== body.length - 1)
    throw new Refusal('08P01', 'invalid password packet size')
  return body.toString('utf8', 0, body.length - 1)
}

/**
 * What a client answers to a request for authentication.
 *
 * @param kind What was asked for, as PostgreSQL calls it.
 * @param maxLength Of the message without its type.
 * @throws {Refusal} For a message of another type.
 * @throws {PeerGone} Where it has no possible length: PostgreSQL tells that to its log alone.
 */
export async function readAnswer(
  stream: Readable,
  kind: 'password' | 'SASL',
  maxLength: number,
): Promise<Buffer> {
  const head = await readExactly(stream, 5)
  if (head[0] !== 0x70) throw new Refusal('08P01', `expected ${kind} response, got message type ${head[0]}`)
  const length = head.readInt32BE(1)
  if (length < 4 || length > maxLength) throw new PeerGone('invalid message length')
  return length === 4 ? Buffer.alloc(0) : readExactly(stream, length - 4)
}

/** @throws {Error} Where it has no possible length for a message of a login. */
export async function readMessage(stream: Readable): Promise<Message> {
  const head = await readExactly(stream, 5)
  const length = head.readInt32BE(1)
  if (length < 4 || length > maxLoginMessageLength) throw new Error('a message has an impossible length')
  const body = length === 4 ? Buffer.alloc(0) : await readExactly(stream, length - 4)
  return { type: String.fromCharCode(head[0] ?? 0), body, bytes: Buffer.concat([head, body]) }
}

export function encodeMessage(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.from(`${type}0000`)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

export function encodeInt32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

export const encodeText = (text: string): Buffer => Buffer.from(`${text}\0`)

/** https://www.postgresql.org/docs/18/protocol-error-fields.html */
export function encodeRefusal({ sqlState, message, detail, isBeforeProtocol3 }: Refusal): Buffer {
  if (isBeforeProtocol3) return Buffer.concat([Buffer.from('E'), encodeText(`FATAL:  ${message}\n`)])
  const fields = [
    'SFATAL',
    'VFATAL',
    `C${sqlState}`,
    `M${message}`,
    ...(detail === undefined ? [] : [`D${detail}`]),
  ]
  return encodeMessage('E', ...fields.map(field => encodeText(field)), Buffer.alloc(1))
}

/** The messages in a server's bytes, which end with the last of them. */
export function splitMessages(bytes: Buffer): readonly Message[] {
  const messages: Message[] = []
  for (let offset = 0; offset < bytes.length; ) {
    const end = offset + 1 + bytes.readInt32BE(offset + 1)
    const message = bytes.subarray(offset, end)
    messages.push({
      type: message.toString('latin1', 0, 1),
      body: message.subarray(5),
      bytes: message,
    })
    offset = end
  }
  return messages
}

/** The SQLSTATE and the message of an ErrorResponse, and the function of the server that reports it. */
export function parseErrorResponse(body: Buffer): {
  readonly sqlState: string
  readonly message: string
  readonly routine: string
} {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map(field => [field.charAt(0), field.slice(1)]),
  )
  return {
    sqlState: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    routine: fields.get('R') ?? '',
  }
}
