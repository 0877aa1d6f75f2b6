import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import type { Scope } from './support.ts'

/** Stands between a gateway and its upstream, and keeps what the gateway says. */
export interface Tap {
  readonly port: number
  /** How many connections are open. */
  open(): number
  /** What was said on each connection that first said something since the last time. */
  take(): Buffer[]
}

export async function openTap(scope: Scope, upstream: { readonly port: number }): Promise<Tap> {
  const clients = new Set<Socket>()
  let fresh: Buffer[][] = []
  const server = createServer({ noDelay: true }, client => {
    clients.add(client)
    client.on('close', () => clients.delete(client))
    const chunks: Buffer[] = []
    client.on('data', chunk => {
      if (chunks.push(chunk) === 1) fresh.push(chunks)
    })
    const target = connect({ port: upstream.port, host: '127.0.0.1', noDelay: true })
    pipeline(client, target, client, () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scope.after(() => {
    for (const client of clients) client.destroy()
    server.close()
  })
  return {
    port: (server.address() as AddressInfo).port,
    open: () => clients.size,
    take() {
      const taken = fresh.map(chunks => Buffer.concat(chunks))
      fresh = []
      return taken
    },
  }
}
