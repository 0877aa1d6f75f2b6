import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Scope } from './support.ts'

/** A relay on the way to a gateway. */
export interface Relay {
  readonly port: number
  /** What came in, readable to everybody on the way. */
  seen(): Buffer
  /** Resets what goes through it: a TLS socket cannot be reset by itself. */
  reset(): void
}

/**
 * Starts a relay to a port of this machine, for as long as a test lasts.
 *
 * @param address Where it listens.
 */
export async function startRelay(
  scope: Scope,
  gateway: { readonly port: number },
  address = '127.0.0.1',
): Promise<Relay> {
  const relayed: Socket[] = []
  let seen = Buffer.alloc(0)
  const relay = createServer(inside => {
    const outside = connect(gateway.port, '127.0.0.1')
    relayed.push(
      inside.on('error', () => {}),
      outside.on('error', () => {}),
    )
    inside.on('data', chunk => {
      seen = Buffer.concat([seen, chunk])
    })
    inside.pipe(outside).pipe(inside)
  }).listen(0, address)
  await once(relay, 'listening')
  scope.after(() => relay.close())
  return {
    port: (relay.address() as { port: number }).port,
    seen: () => seen,
    reset() {
      for (const socket of relayed) socket.resetAndDestroy()
    },
  }
}
