import { once } from 'node:events'
import { createServer } from 'node:net'

const PORT_ATTEMPTS = 5

/**
 * Starts a server on the wanted port or, where it is taken, on a free one; a port that another process takes
 * between its being found and its being used is no failure.
 *
 * @param start Resolves to the running server, or to the log of one that ended before it was ready.
 * @param wanted The port to try first.
 * @throws With the server's own log in the message.
 */
export async function startOnFreePort<T extends object>(
  name: string,
  start: (port: number) => Promise<T | { readonly log: string }>,
  wanted?: number,
): Promise<T & { readonly port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = attempt === 1 && wanted !== undefined ? wanted : await findFreePort()
    const server = await start(port)
    if (!('log' in server)) return { ...server, port }
    if (attempt < PORT_ATTEMPTS && /Address already in use/.test(server.log)) continue
    throw new Error(`${name} did not start on 127.0.0.1:${port}:\n${server.log}`)
  }
}

/** A port on loopback that nothing listens on now. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || !address) throw new Error('no free port')
  return address.port
}
