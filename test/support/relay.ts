import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { after } from 'node:test'

/** A relay between a client and a server on loopback, and all that can happen to a connection between the two. */
export interface Relay {
  readonly port: number
  /** How many connections there have been. */
  connections(): number
  /** How many clients have not closed their connection. */
  clients(): number
  /** Ends when there have been so many connections. */
  whenConnected(count: number): Promise<void>
  /** Closes every connection in order, as a server does that ends; resolves when the ends are on their way. */
  cut(): Promise<void>
  /** Ends when both ends of every connection were told that the other one ended. */
  whenEnded(): Promise<void>
  /** Resets every connection. */
  reset(): Promise<void>
  /** From now on, nothing passes in either direction, and nobody is told, as when a firewall forgets a flow. */
  swallow(): void
  /** Swallows the next connection alone, once its client has sent so many packets: 0 for all of it. */
  swallowNext(packets: number): void
  /** Lets new connections pass again; those that were swallowed stay so. */
  heal(): void
  /** Keeps back whatever comes, until it is told to go on. */
  stall(): void
  /** Keeps back what the server says; what it is told still reaches it. */
  stallAnswers(): void
  resume(): void
  /** How many bytes clients have sent so far. */
  sentBytes(): number
  /** Lets everything take so long to the server and back, in milliseconds. */
  delay(roundTripMs: number): void
  /** Nothing listens any more; what is connected stays so. */
  refuse(): Promise<void>
  /** Listens again, on the same port. */
  accept(): Promise<void>
  /** Sends new connections to another port. */
  aim(targetPort: number): void
  close(): void
}

/** Whether the kernel takes one of these ports for connected to the relay, as far as it tells: Linux does. */
function isOpenFor(peers: readonly (number | undefined)[], relayPort: number): boolean {
  if (process.platform !== 'linux') return false
  const established = '01'
  const hex = (number: number) => number.toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .some(line => {
      const [, local = '', remote = '', state] = line.trim().split(/\s+/)
      const isPeer = peers.some(peer => peer !== undefined && local.endsWith(`:${hex(peer)}`))
      return isPeer && remote.endsWith(`:${hex(relayPort)}`) && state === established
    })
}

interface Flow {
  readonly client: Socket
  readonly target: Socket
  isLost: boolean
  /** How many packets of the client still pass. */
  packetsLeft: number
}

/**
 * Starts a relay to a port on loopback.
 *
 * @param ownPort Where it listens; any free port unless given.
 */
export async function openRelay(targetPort: number, ownPort = 0): Promise<Relay> {
  const flows = new Set<Flow>()
  const waiting = new Set<() => void>()
  let aim = targetPort
  let isSwallowing = false
  let nextPackets = Number.POSITIVE_INFINITY
  let isStalled = false
  let delayMs = 0
  let connections = 0
  let sentBytes = 0
  let isOver = false

  const pass = (flow: Flow, from: Socket, to: Socket): void => {
    const send = (act: () => void): void => {
      if (flow.isLost) return
      if (delayMs > 0) setTimeout(act, delayMs)
      else act()
    }
    from.on('error', () => to.destroy())
    from.on('data', chunk => {
      if (from === flow.client) {
        if (flow.packetsLeft <= 0) flow.isLost = true
        flow.packetsLeft -= 1
      }
      send(() => to.write(chunk))
    })
    from.on('end', () => send(() => to.end()))
    from.on('close', () => {
      if (from.destroyed && to.destroyed) flows.delete(flow)
    })
  }

  // As RDS and the gateway do: a small message waits for no other one's acknowledgement.
  const server = createServer({ noDelay: true }, client => {
    const target = connect({ port: aim, host: '127.0.0.1', noDelay: true })
    const flow: Flow = { client, target, isLost: isSwallowing || nextPackets === 0, packetsLeft: nextPackets }
    nextPackets = Number.POSITIVE_INFINITY
    flows.add(flow)
    connections += 1
    pass(flow, client, target)
    pass(flow, target, client)
    client.on('data', chunk => {
      sentBytes += chunk.length
    })
    if (isStalled) for (const socket of [client, target]) socket.pause()
    for (const notice of waiting) notice()
  })
  const listen = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }
  const port = await listen(ownPort)

  const sockets = () => [...flows].flatMap(({ client, target }) => [client, target])
  /** When the kernel knows. */
  const whenTold = (socket: Socket) =>
    new Promise<void>(resolve => {
      if (socket.destroyed || socket.writableFinished) resolve()
      else socket.once('finish', resolve).once('close', () => resolve())
    })
  const whenEnded = async (): Promise<void> => {
    const peers = [...flows].map(({ client }) => client.remotePort)
    await Promise.all(sockets().map(whenTold))
    // On a busy machine, the kernel tells the other end a moment later.
    while (isOpenFor(peers, port)) await new Promise(resolve => setImmediate(resolve))
  }

  return {
    port,
    connections: () => connections,
    clients: () => [...flows].filter(({ client }) => !client.destroyed).length,
    whenConnected: count =>
      new Promise(resolve => {
        const notice = (): void => {
          if (connections < count) return
          waiting.delete(notice)
          resolve()
        }
        waiting.add(notice)
        notice()
      }),
    cut() {
      for (const socket of sockets()) socket.end()
      return whenEnded()
    },
    whenEnded,
    reset() {
      // Node leaves a socket that is about to end open for ever when it is reset, and then does not exit.
      for (const socket of sockets()) {
        if (socket.writableEnded) socket.destroy()
        else socket.resetAndDestroy()
      }
      return whenEnded()
    },
    swallow() {
      isSwallowing = true
      for (const flow of flows) flow.isLost = true
    },
    swallowNext(packets) {
      nextPackets = packets
    },
    heal() {
      isSwallowing = false
    },
    stall() {
      isStalled = true
      for (const socket of sockets()) socket.pause()
    },
    stallAnswers() {
      for (const { target } of flows) target.pause()
    },
    sentBytes: () => sentBytes,
    resume() {
      isStalled = false
      for (const socket of sockets()) socket.resume()
    },
    delay(roundTripMs) {
      delayMs = roundTripMs / 2
    },
    async refuse() {
      server.close()
      // The event waits for connections that stay; nothing listens from here on.
      await new Promise(resolve => setImmediate(resolve))
    },
    accept: async () => {
      if (!isOver) await listen(port)
    },
    aim(targetPort) {
      aim = targetPort
    },
    close() {
      isOver = true
      for (const socket of sockets()) socket.destroy()
      server.close()
    },
  }
}

/** Starts a relay as {@link openRelay} does, closed after the test. */
export async function startRelay(targetPort: number, ownPort?: number): Promise<Relay> {
  const relay = await openRelay(targetPort, ownPort)
  after(relay.close)
  return relay
}
