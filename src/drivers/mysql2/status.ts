import type { Command, Packet } from './internals.ts'

/** What a message of the server tells of the session. */
export type Status =
  | { readonly error?: undefined; readonly isInTransaction: boolean }
  | { /** For example 1290. */ readonly error: number }

// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html: SERVER_STATUS_IN_TRANS
const inTransactionFlag = 1

// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_response_packets.html
const okHeader = 0x00
const eofHeader = 0xfe
const errorHeader = 0xff

/** The states of a command in which a message that begins as an OK does is one; a row may begin so too. */
const statesThatTakeOk = [
  'resultsetHeader',
  'infileOk',
  'pingResponse',
  'resetConnectionResponse',
  'handshakeResult',
]

/**
 * Reads the session's status where a message has it.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
 */
export function readStatus(
  { buffer, offset, end }: Packet,
  command: Command | null | undefined,
): Status | undefined {
  const header = buffer[offset]
  if (header === eofHeader && end - offset === 5) return readFlags(buffer, offset + 3)
  if (header === okHeader && takesOk(command)) {
    const afterCount = offset + 1 + lengthOfNumber(buffer, offset + 1)
    const flags = afterCount + lengthOfNumber(buffer, afterCount)
    return flags + 2 <= end ? readFlags(buffer, flags) : undefined
  }
  return header === errorHeader ? { error: buffer.readUInt16LE(offset + 1) } : undefined
}

function readFlags(buffer: Buffer, offset: number): Status {
  return { isInTransaction: (buffer.readUInt16LE(offset) & inTransactionFlag) !== 0 }
}

function takesOk(command: Command | null | undefined): boolean {
  const state = command?.next
  return typeof state === 'function' && statesThatTakeOk.some(name => command?.[name] === state)
}

/** How many bytes a length-encoded number takes. */
function lengthOfNumber(buffer: Buffer, offset: number): number {
  switch (buffer[offset]) {
    case 0xfc:
      return 3
    case 0xfd:
      return 4
    case 0xfe:
      return 9
    default:
      return 1
  }
}
