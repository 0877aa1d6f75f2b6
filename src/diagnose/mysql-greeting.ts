// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
const capability = {
  protocol41: 0x0200,
  ssl: 0x0800,
  secureConnection: 0x8000,
  pluginAuth: 0x0008_0000,
}

/**
 * Writes the answer to the greeting by which a client asks for TLS.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_ssl_request.html
 */
export const sslRequest: Buffer = makeSslRequest()

function makeSslRequest(): Buffer {
  const packet = Buffer.alloc(36)
  packet.writeUIntLE(32, 0, 3)
  packet[3] = 1
  const { protocol41, ssl, secureConnection, pluginAuth } = capability
  packet.writeUInt32LE(protocol41 | ssl | secureConnection | pluginAuth, 4)
  packet.writeUInt32LE(0x0100_0000, 8)
  // utf8mb4_general_ci
  packet[12] = 45
  return packet
}

/** The errors with which a server may answer in place of a greeting. */
const errorNames: Readonly<Record<number, string>> = {
  1040: 'ER_CON_COUNT_ERROR',
  1129: 'ER_HOST_IS_BLOCKED',
  1130: 'ER_HOST_NOT_PRIVILEGED',
  1203: 'ER_TOO_MANY_USER_CONNECTIONS',
}

/**
 * Reads the first packet of a server.
 *
 * @returns The server's version; `undefined` if the packet is not complete yet.
 * @throws The error that mysql2 would throw: the server's own, or one that says that the server has no TLS or
 * does not speak MySQL's protocol.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
 */
export function readMysqlGreeting(bytes: Buffer): string | undefined {
  const [first = 0, second = 0, third = 0, sequence = 0, kind = 10] = bytes
  const length = first | (second << 8) | (third << 16)
  const isForeign = bytes.length > 4 && (sequence !== 0 || (kind !== 10 && kind !== 0xff) || length > 1_024)
  if (isForeign) throw named('HANDSHAKE_UNKNOWN_ERROR', 'the server does not begin as MySQL does')
  if (bytes.length < 4 + length || length === 0) return undefined
  const body = bytes.subarray(4, 4 + length)
  if (kind === 0xff) {
    const number = body.readUInt16LE(1)
    // A server may put the SQLSTATE in front of its message.
    const words = body
      .subarray(3)
      .toString('utf8')
      .replace(/^#.{5}/, '')
    throw named(errorNames[number] ?? `ER_${number}`, words)
  }
  const end = body.indexOf(0, 1)
  // Behind the version: the thread's number, eight bytes of salt and a zero.
  const at = end + 1 + 4 + 8 + 1
  if (end < 0 || body.length < at + 2)
    throw named('HANDSHAKE_UNKNOWN_ERROR', 'the greeting of the server is cut off')
  if ((body.readUInt16LE(at) & capability.ssl) === 0)
    throw named('HANDSHAKE_NO_SSL_SUPPORT', 'Server does not support secure connection')
  return body.subarray(1, end).toString('latin1')
}

function named(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
