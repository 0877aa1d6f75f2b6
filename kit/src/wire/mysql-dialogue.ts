import type { Socket } from 'node:net'
import { encodePacket, MalformedPacket, MysqlRefusal, readPacket } from './mysql-packets.ts'

/** The packets of an exchange with the client, numbered through in both directions. */
export interface Dialogue {
  stream: Socket
  sequence: number
}

export function say(dialogue: Dialogue, ...parts: readonly Buffer[]): void {
  dialogue.stream.write(encodePacket(dialogue.sequence, ...parts))
  dialogue.sequence += 1
}

/** @throws {MysqlRefusal} Where it is not the next packet of the exchange. */
export async function hear(dialogue: Dialogue): Promise<Buffer> {
  const { body } = await readFrom(() => readPacket(dialogue.stream, dialogue.sequence))
  dialogue.sequence += 1
  return body
}

/** What is wrong with a client's packet, in the server's words. */
export async function readFrom<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw error instanceof MalformedPacket ? new MysqlRefusal(1043, '08S01', 'Bad handshake') : error
  }
}
