import type { Socket } from 'node:net'

/**
 * Waits for the first message of a server, then stops reading, so that TLS can take over the socket.
 *
 * @param read Reads the bytes that came so far. Returns `undefined` until the message is complete.
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
