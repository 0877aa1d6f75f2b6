import type { Readable } from 'node:stream'
import { readExactly } from './bytes.ts'

// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
/** A packet of this length is continued by the next one. */
export const maxPacketLength = 0xffffff
/** Nothing of a login is larger: connection attributes end at 64 KB, a token has some 3 KB. */
const maxLoginPacketLength = 131_072

/** An error in MySQL's form: what the client is told before the connection ends. */
export class MysqlRefusal extends Error {
  /** For example 1045. */
  readonly errno: number
  /** For example `'28000'`. */
  readonly sqlState: string
  constructor(errno: number, sqlState: string, message: string) {
    super(message)
    this.name = 'MysqlRefusal'
    this.errno = errno
    this.sqlState = sqlState
  }
}

/** The peer sent what is no packet of the protocol. */
export class MalformedPacket extends Error {
  constructor(message = 'malformed packet') {
    super(message)
    this.name = 'MalformedPacket'
  }
}

export interface Packet {
  readonly sequence: number
  readonly body: Buffer
}

/**
 * Reads a packet of a login.
 *
 * @param sequence Which one is expected; any where it is missing.
 * @throws {MalformedPacket} Where it has another sequence number, or is larger than any such packet.
 */
export async function readPacket(stream: Readable, sequence?: number): Promise<Packet> {
  const head = await readExactly(stream, 4)
  const length = head.readUIntLE(0, 3)
  if (sequence !== undefined && head[3] !== (sequence & 0xff))
    throw new MalformedPacket(`packet ${head[3]} came in the place of packet ${sequence}`)
  if (length > maxLoginPacketLength) throw new MalformedPacket('a packet is larger than any of a login')
  return { sequence: head[3] ?? 0, body: length === 0 ? Buffer.alloc(0) : await readExactly(stream, length) }
}

export function encodePacket(sequence: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(4)
  head.writeUIntLE(body.length, 0, 3)
  head[3] = sequence & 0xff
  return Buffer.concat([head, body])
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html */
export function encodeError({ errno, sqlState, message }: MysqlRefusal): Buffer {
  return Buffer.concat([Buffer.from([0xff]), encodeInt16(errno), Buffer.from(`#${sqlState}${message}`)])
}

/** The error in a packet that begins with 0xff; before a login, servers leave the SQLSTATE out. */
export function parseError(body: Buffer): MysqlRefusal {
  const fields = readFields(body.subarray(1))
  const errno = fields.int(2)
  const text = fields.rest().toString('utf8')
  return text.startsWith('#')
    ? new MysqlRefusal(errno, text.slice(1, 6), text.slice(6))
    : new MysqlRefusal(errno, errno === 1040 ? '08004' : 'HY000', text)
}

export function encodeInt16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

export function encodeInt32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

export const encodeText = (text: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(text), Buffer.alloc(1)])

/** Reads the fields of a packet in their order. */
export interface Fields {
  /** A whole number of one to four bytes. */
  int(size: number): number
  bytes(size: number): Buffer
  /** Up to a NUL byte, which is taken too. */
  text(): Buffer
  /** A length of one, three or four bytes, and so many bytes. */
  lengthEncoded(): Buffer
  rest(): Buffer
  readonly left: number
}

/** Every method throws {@link MalformedPacket} where the packet is too short. */
export function readFields(body: Buffer): Fields {
  let offset = 0
  const bytes = (size: number): Buffer => {
    if (size > body.length - offset) throw new MalformedPacket()
    offset += size
    return body.subarray(offset - size, offset)
  }
  const int = (size: number): number => bytes(size).readUIntLE(0, size)
  return {
    int,
    bytes,
    text() {
      const end = body.indexOf(0, offset)
      if (end < 0) throw new MalformedPacket()
      return bytes(end + 1 - offset).subarray(0, -1)
    },
    lengthEncoded() {
      const first = int(1)
      if (first < 0xfb) return bytes(first)
      // Nothing here needs the eight bytes that 0xfe announces.
      if (first !== 0xfc && first !== 0xfd) throw new MalformedPacket()
      return bytes(int(first - 0xfa))
    },
    rest: () => bytes(body.length - offset),
    get left() {
      return body.length - offset
    },
  }
}

export function encodeLengthEncoded(bytes: Buffer): Buffer {
  const size = bytes.length
  if (size < 0xfb) return Buffer.concat([Buffer.from([size]), bytes])
  if (size <= 0xffff) return Buffer.concat([Buffer.from([0xfc]), encodeInt16(size), bytes])
  return Buffer.concat([Buffer.from([0xfd, size & 0xff, (size >> 8) & 0xff, size >> 16]), bytes])
}
