import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Scope } from './support.ts'

/** A relay on the way to a gateway. */
export interface Relay {
  readonly port: number
  /** Resets what goes through it: a TLS socket cannot be reset by itself. */
  reset(): void
}

/** Starts a relay to a port of this machine, for as long as a test lasts. */
export async function startRelay(scope: Scope, gateway: { readonly port: number }): Promise<Relay> {
  const relayed: Socket[] = []
  const relay = createServer(inside => {
    const outside = connect(gateway.port, '127.0.0.1')
    relayed.push(
      inside.on('error', () => {}),
      outside.on('error', () => {}),
    )
    inside.pipe(outside).pipe(inside)
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  scope.after(() => relay.close())
  return {
    port: (relay.address() as { port: number }).port,
    reset() {
      for (const socket of relayed) socket.resetAndDestroy()
    },
  }
}
