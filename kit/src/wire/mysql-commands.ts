import type { Socket } from 'node:net'
import { follow } from './bytes.ts'
import { changeUserCommand } from './mysql-login.ts'
import { maxPacketLength } from './mysql-packets.ts'

/**
 * Passes everything both ways with backpressure, but for COM_CHANGE_USER: a session is of the user who came
 * in with a token. When either side ends or breaks, so does the other.
 *
 * @param changeUser Is called when the client's next packet is COM_CHANGE_USER, which it is to read; nothing
 * is passed on until it is done. Where it fails, it ends the client.
 */
export function joinCommands(client: Socket, upstream: Socket, changeUser: () => Promise<void>): void {
  const find = findChangeUser()

  const pass = (chunk: Buffer): void => {
    const { before, from } = find(chunk)
    if (before.length > 0 && !upstream.write(before)) client.pause()
    if (from === undefined) return
    stop()
    client.unshift(from)
    void changeUser().then(start, () => {})
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
 * Follows the packets of a client from header to header, without keeping more of them than a header.
 *
 * A command is the first packet of its exchange, so its number is 0. In the contents of a file that the
 * server asked for (LOAD DATA LOCAL), every 256th packet has that number too; one that begins with the byte
 * 0x11 is taken for the command and the session ends, as what is in question must not get through.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
 */
export function findChangeUser(): (chunk: Buffer) => Finding {
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
      // A header is passed on with the first byte behind it, which tells what it is.
      const known = bytes.length - at
      const length = known < 4 ? undefined : bytes.readUIntLE(at, 3)
      if (length === undefined || (known < 5 && length > 0)) {
        kept = bytes.subarray(at)
        return { before: bytes.subarray(0, at) }
      }
      const isCommand = !continued && bytes[at + 3] === 0 && length > 0
      if (isCommand && bytes[at + 4] === changeUserCommand)
        return { before: bytes.subarray(0, at), from: bytes.subarray(at) }
      continued = length === maxPacketLength
      left = length
      at += 4
    }
  }
}
