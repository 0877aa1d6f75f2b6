import type { Socket } from 'node:net'

/**
 * Waits for the beginning of what a server says, and leaves the socket to TLS.
 *
 * @param read Reads what came so far; nothing where it is not all yet.
 */
export function receive<T>(socket: Socket, read: (bytes: Buffer) => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0)
    const stop = (): void => {
      socket.off('data', take).off('close', end).off('end', end)
      socket.pause()
    }
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      try {
        const result = read(bytes)
        if (result === undefined) return
        stop()
        resolve(result)
      } catch (error) {
        stop()
        reject(error)
      }
    }
    const end = (): void => {
      stop()
      reject(
        Object.assign(new Error('the server ended the connection before it said a word'), {
          code: 'ECONNRESET',
        }),
      )
    }
    socket.on('data', take).on('close', end).on('end', end)
  })
}
