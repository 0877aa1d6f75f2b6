import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { after } from 'node:test'

/** A relay between a client and a server on loopback that can lose what it should pass on. */
export interface Relay {
  readonly port: number
  /** How many connections there have been. */
  connections(): number
  /** From now on, nothing passes in either direction, and nobody is told, as when a firewall forgets a flow. */
  swallow(): void
  /** Lets new connections pass again; those that were swallowed stay so. */
  heal(): void
}

/**
 * Starts a relay to a port on loopback, stopped after the test file's last test.
 *
 * @param port Where it listens; any free port unless given.
 */
export async function startRelay(targetPort: number, port = 0): Promise<Relay> {
  let isSwallowing = false
  let connections = 0
  const pairs = new Set<readonly [Socket, Socket]>()
  const server = createServer(client => {
    connections += 1
    const target = connect(targetPort, '127.0.0.1')
    const pair = [client, target] as const
    pairs.add(pair)
    for (const [from, to] of [pair, [target, client]] as const) {
      from.on('error', () => to.destroy())
      from.on('data', chunk => {
        if (!lost.has(pair)) to.write(chunk)
      })
      from.on('end', () => {
        if (!lost.has(pair)) to.end()
      })
    }
    if (isSwallowing) lost.add(pair)
  })
  const lost = new Set<readonly [Socket, Socket]>()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  after(() => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
    server.close()
  })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connections: () => connections,
    swallow() {
      isSwallowing = true
      for (const pair of pairs) lost.add(pair)
    },
    heal() {
      isSwallowing = false
    },
  }
}
