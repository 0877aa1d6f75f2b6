import type { Connection as CoreConnection } from 'mysql2'
import { addSent, takesAttributes } from './internals.ts'

/** One message to the server: what it is, and what follows. */
export type Message = Buffer

// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html: COM_INIT_DB, COM_QUERY,
// COM_PING, COM_RESET_CONNECTION
export const ping: Message = Buffer.of(0x0e)
export const resetConnection: Message = Buffer.of(0x1f)
export const useDatabase = (name: string): Message => Buffer.from(`\x02${name}`)

/**
 * A statement without parameters.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
 */
export function query(core: CoreConnection, sql: string): Message {
  return Buffer.from(`\x03${takesAttributes(core) ? '\0\x01' : ''}${sql}`)
}

/**
 * Sends messages of this package's own at once, the next before the last one is answered: the server takes
 * one after the other. None of them may give rows.
 *
 * @returns Rejects with the first error, when all are answered.
 */
export function send(core: CoreConnection, messages: readonly Message[]): Promise<void> {
  return new Promise((resolve, reject) => {
    addSent(core, Buffer.concat(messages.map(frame)), messages.length, error =>
      error === null ? resolve() : reject(error),
    )
  })
}

/** https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html: each begins to count at 0. */
function frame(message: Message): Buffer {
  const header = Buffer.alloc(4)
  header.writeUIntLE(message.length, 0, 3)
  return Buffer.concat([header, message])
}
