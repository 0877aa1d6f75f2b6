import type { Socket } from 'node:net'
import { follow } from './bytes.ts'
import { changeUserCommand } from './mysql-login.ts'
import { maxPacketLength } from './mysql-packets.ts'

/** Finds in what a client sends where a command begins that is not to be passed on as it is. */
export type FindCommand = (chunk: Buffer) => Finding

/**
 * Passes everything both ways with backpressure, but for some commands of the client. When either side ends or
 * breaks, so does the other.
 *
 * @param find Finds such a command.
 * @param take Is called when the client's next packet is one, which it is to read; nothing is passed on until
 * it is done. Where it fails, it ends the client.
 */
export function joinCommands(
  client: Socket,
  upstream: Socket,
  find: FindCommand,
  take: () => Promise<void>,
): void {
  const pass = (chunk: Buffer): void => {
    const { before, from } = find(chunk)
    if (before.length > 0 && !upstream.write(before)) client.pause()
    if (from === undefined) return
    stop()
    client.unshift(from)
    void take().then(start, () => {})
  }
  const resume = (): void => void client.resume()
  const start = (): void => {
    upstream.pipe(client)
    upstream.on('drain', resume)
    client.on('data', pass).resume()
  }
  const stop = (): void => {
    upstream.unpipe(client)
    upstream.off('drain', resume)
    client.off('data', pass).pause()
  }
  client.once('end', () => upstream.end())
  follow(client, upstream)
  follow(upstream, client)
  start()
}

/** What of a chunk may be passed on; `from` is the rest of it where that begins with COM_CHANGE_USER. */
interface Finding {
  readonly before: Buffer
  readonly from?: Buffer
}

/**
 * Finds COM_CHANGE_USER.
 *
 * In the contents of a file that the server asked for (LOAD DATA LOCAL), every 256th packet has the number of a
 * command too; one that begins with the byte 0x11 is taken for this one and the session ends, as what is in
 * question must not get through.
 */
export function findChangeUser(): FindCommand {
  return findCommand(1, ([first]) => first === changeUserCommand)
}

/**
 * Follows the packets of a client from header to header, without keeping more of them than the first bytes of a
 * command. A command is the first packet of its exchange, so its number is 0.
 *
 * @param size How many bytes of a command tell whether it is wanted.
 * @param isWanted Is given as many, or all where it has fewer.
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
export function findCommand(size: number, isWanted: (first: Buffer, length: number) => boolean): FindCommand {
  let kept: Buffer = Buffer.alloc(0)
  /** Of the packet that is passing. */
  let left = 0
  let continued = false

  return chunk => {
    const bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk])
    kept = Buffer.alloc(0)
    let at = 0
    for (;;) {
      const step = Math.min(left, bytes.length - at)
      at += step
      left -= step
      if (at === bytes.length) return { before: bytes }
      // A header is passed on with the first bytes behind it, which tell what it is.
      const known = bytes.length - at
      const length = known < 4 ? undefined : bytes.readUIntLE(at, 3)
      const isCommand = !continued && bytes[at + 3] === 0 && length !== undefined && length > 0
      if (length === undefined || (isCommand && known < 4 + Math.min(length, size))) {
        kept = bytes.subarray(at)
        return { before: bytes.subarray(0, at) }
      }
      const first = bytes.subarray(at + 4, at + 4 + Math.min(length, size))
      if (isCommand && isWanted(first, length))
        return { before: bytes.subarray(0, at), from: bytes.subarray(at) }
      continued = length === maxPacketLength
      left = length
      at += 4
    }
  }
}
