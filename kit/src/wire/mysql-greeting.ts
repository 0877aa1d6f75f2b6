import { randomBytes } from 'node:crypto'
import { capability, mariadbCapabilities } from './mysql-capabilities.ts'
import { encodeInt16, encodeInt32, encodeText, MalformedPacket, readFields } from './mysql-packets.ts'

/** The first packet of a connection, which a server sends. */
export interface Greeting {
  /** As it came. */
  readonly serverVersion: Buffer
  /** What `KILL` takes. */
  readonly threadId: number
  /** 20 bytes that a password is hashed with. */
  readonly salt: Buffer
  readonly capabilities: number
  readonly charset: number
  readonly status: number
  /** MariaDB's own capabilities in its last four bytes. */
  readonly reserved: Buffer
  /** What the server supposes that the user authenticates with. */
  readonly plugin: string
}

/**
 * What a client is greeted with while the upstream cannot be reached: it is told so once
 * it has authenticated.
 */
export const standInGreeting: Greeting = {
  serverVersion: Buffer.from('5.7.0-rds-iam-gateway'),
  threadId: 0,
  salt: Buffer.alloc(20),
  capabilities: 0xffffffff,
  charset: 45,
  // SERVER_STATUS_AUTOCOMMIT
  status: 2,
  reserved: Buffer.alloc(10),
  plugin: 'mysql_native_password',
}

/**
 * @throws {MalformedPacket} Where it is none, or that of a server before MySQL 5.5.7, which has no plugins.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
 */
export function parseGreeting(body: Buffer): Greeting {
  const fields = readFields(body)
  if (fields.int(1) !== 10) throw new MalformedPacket('the greeting is not of version 10')
  const serverVersion = fields.text()
  const threadId = fields.int(4)
  const firstSalt = fields.bytes(8)
  fields.bytes(1)
  const lowCapabilities = fields.int(2)
  const charset = fields.int(1)
  const status = fields.int(2)
  const capabilities = (lowCapabilities | (fields.int(2) << 16)) >>> 0
  const saltLength = fields.int(1)
  const reserved = fields.bytes(10)
  if ((capabilities & capability.pluginAuth) === 0) throw new MalformedPacket('the server has no plugins')
  const secondSalt = fields.bytes(Math.max(13, saltLength - 8)).subarray(0, 12)
  const plugin = fields.text().toString('latin1')
  const salt = Buffer.concat([firstSalt, secondSalt])
  return {
    serverVersion,
    threadId,
    salt,
    // MySQL 5.6 refuses every COM_CHANGE_USER of a client that knows connection
    // attributes, whatever they are.
    capabilities: /^5\.6\./.test(serverVersion.toString('latin1'))
      ? (capabilities & ~capability.connectAttributes) >>> 0
      : capabilities,
    charset,
    status,
    reserved,
    plugin,
  }
}

/** The upstream's greeting as the gateway's own: its own salt, and what the gateway offers. */
export function encodeGreeting(upstream: Greeting, offered: number, salt: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from([10]),
    encodeText(upstream.serverVersion),
    encodeInt32(upstream.threadId),
    salt.subarray(0, 8),
    Buffer.alloc(1),
    encodeInt16(offered & 0xffff),
    Buffer.from([upstream.charset]),
    encodeInt16(upstream.status),
    encodeInt16(offered >>> 16),
    Buffer.from([21]),
    limitMariadbCapabilities(upstream.reserved),
    encodeText(salt.subarray(8)),
    encodeText(upstream.plugin),
  ])
}

/** 20 printable bytes: some clients take a NUL for its end. */
export const makeSalt = (): Buffer => Buffer.from(randomBytes(20).map(byte => 0x40 | (byte & 0x3f)))

/** @param reserved Bytes of which the last four may be MariaDB's own capabilities. */
export function limitMariadbCapabilities(reserved: Buffer): Buffer {
  const limited = Buffer.from(reserved)
  const at = limited.length - 4
  limited.writeUInt32LE((limited.readUInt32LE(at) & mariadbCapabilities) >>> 0, at)
  return limited
}
