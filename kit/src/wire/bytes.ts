import type { Duplex, Readable } from 'node:stream'

/** The other side closed, or broke, before it had sent what was expected. */
export class PeerGone extends Error {
  constructor(message = 'the connection was closed') {
    super(message)
    this.name = 'PeerGone'
  }
}

/**
 * Reads exactly so many bytes, however they were split or glued together on their way; what follows stays in
 * the stream, for the next read or for a pipe.
 *
 * @throws {PeerGone} Where the stream ends or breaks before.
 */
export function readExactly(stream: Readable, size: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (result: Buffer | undefined): void => {
      stream.off('readable', attempt).off('end', gone).off('close', gone)
      if (result?.length === size) resolve(result)
      else reject(new PeerGone())
    }
    const gone = (): void => settle(undefined)
    const attempt = (): void => {
      const chunk = stream.read(size) as Buffer | null
      // At its end, a stream gives what is left, even if it is less.
      if (chunk !== null) settle(chunk)
      else if (stream.destroyed || stream.readableEnded) settle(undefined)
    }
    stream.on('readable', attempt).on('end', gone).on('close', gone)
    attempt()
  })
}

/** A socket, as far as joining needs it. */
type Side = Duplex & { destroySoon(): void }

/** Passes everything both ways with backpressure; when either side ends or breaks, so does the other. */
export function join(left: Side, right: Side): void {
  passOn(left, right)
  passOn(right, left)
}

function passOn(from: Side, to: Side): void {
  follow(from, to)
  if (!from.destroyed) from.pipe(to)
}

/** When `from` ends or breaks, so does `to`. */
export function follow(from: Side, to: Side): void {
  const end = (): void => {
    // After a proper end, what was written is still on its way out; after a break, the
    // other side must see one.
    if (from.readableEnded) to.destroySoon()
    else to.destroy()
  }
  if (from.destroyed) end()
  else from.once('close', end)
}
