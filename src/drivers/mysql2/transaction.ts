import type { Connection as CoreConnection } from 'mysql2'

/** A message of the server as mysql2 hands it around: its body goes from `offset` to `end`. */
interface Packet {
  readonly buffer: Buffer
  readonly offset: number
  readonly end: number
}

/** A command of mysql2's is a state machine whose states are its methods. */
type Command = Readonly<Record<string, unknown>>

interface Internals {
  handlePacket(packet?: Packet): void
  readonly _command: Command | null | undefined
}

// https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html: SERVER_STATUS_IN_TRANS
const inTransactionFlag = 1

const okHeader = 0x00
const eofHeader = 0xfe
const errorHeader = 0xff

/** The states in which a message that begins as an OK does is one; a row may begin so too. */
const statesThatTakeOk = [
  'resultsetHeader',
  'infileOk',
  'pingResponse',
  'resetConnectionResponse',
  'handshakeResult',
]

/**
 * Errors by which a server says that it takes no writes: ER_OPTION_PREVENTS_STATEMENT, ER_READ_ONLY_MODE.
 *
 * @see https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
const readOnlyErrors = [1290, 1836]

const inTransaction = new WeakMap<CoreConnection, boolean | undefined>()

const readOnly = new WeakSet<CoreConnection>()

/**
 * Follows whether a transaction is open, without a round trip: the server says so in a flag of every message that ends a result, which
 * mysql2 reads and does not keep.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
 */
export function watchTransaction(core: CoreConnection): void {
  const internals = core as unknown as Internals
  const { handlePacket } = internals
  inTransaction.set(core, false)
  internals.handlePacket = packet => {
    // While it is paused mysql2 keeps the messages, and calls this again for each: to look twice does no harm.
    if (packet !== undefined) look(core, packet, internals._command)
    handlePacket.call(core, packet)
  }
}

/** Whether a transaction is open; nothing where the last message was an error, which does not tell. */
export function isInTransaction(core: CoreConnection): boolean | undefined {
  return inTransaction.get(core)
}

/**
 * Whether the server said that it takes no writes. After a failover the endpoint leads to another server, and only a new connection gets
 * there.
 */
export function isReadOnly(core: CoreConnection): boolean {
  return readOnly.has(core)
}

function look(
  core: CoreConnection,
  { buffer, offset, end }: Packet,
  command: Command | null | undefined,
): void {
  const header = buffer[offset]
  if (header === eofHeader && end - offset === 5) {
    keep(core, buffer.readUInt16LE(offset + 3))
  } else if (header === okHeader && takesOk(command)) {
    const afterCount = offset + 1 + lengthOfNumber(buffer, offset + 1)
    const status = afterCount + lengthOfNumber(buffer, afterCount)
    if (status + 2 <= end) keep(core, buffer.readUInt16LE(status))
  } else if (header === errorHeader) {
    if (readOnlyErrors.includes(buffer.readUInt16LE(offset + 1))) readOnly.add(core)
    // The statement may have begun one before it failed. To roll back one that the server has ended itself does no harm.
    if (inTransaction.get(core) === false) inTransaction.set(core, undefined)
  }
}

function keep(core: CoreConnection, status: number): void {
  inTransaction.set(core, (status & inTransactionFlag) !== 0)
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
