import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { PeerGone } from '../wire/bytes.ts'
import type { DecisionTls } from './decision.ts'
import { recordDistrust } from './distrust.ts'
import type { Gate } from './gate.ts'
import type { Upstream } from './upstream.ts'

/** What a gateway gives to each of its connections. */
export interface Site {
  readonly secureContext: SecureContext
  readonly upstream: Upstream
  readonly gate: Gate
  readonly handshakeTimeoutMs: number
  /** Is given every socket that is made, to listen to its errors and to end it with the gateway. */
  readonly hold: (socket: Socket) => void
  /**
   * The major version of PostgreSQL behind, for example `18`: what the last login said. A server is asked nothing
   * before somebody has shown a token.
   */
  serverVersion?: number | undefined
}

/** A client's connection up to its session. */
export interface Handshake {
  readonly site: Site
  /** Where the client is spoken to: the TCP socket, then the TLS socket on top of it. */
  stream: Socket
  /** The connection to the upstream, while it is the upstream that is waited for. */
  awaited: Socket | undefined
  /**
   * Makes a socket the client's connection to the upstream, and the awaited one: a client that
   * leaves takes it along.
   */
  readonly tie: (upstream: Socket) => void
  /** Ends the connection to the upstream. */
  readonly drop: () => void
  /** Ends the handshake timeout, and the tie: once both are joined, the end of one is passed on in order. */
  readonly done: () => void
}

export function beginHandshake(socket: Socket, site: Site): Handshake {
  let tied: Socket | undefined
  const leave = (): void => {
    clearTimeout(timer)
    tied?.destroy()
  }
  const handshake: Handshake = {
    site,
    stream: socket,
    awaited: undefined,
    tie(upstream) {
      site.hold(upstream)
      handshake.awaited = tied = upstream
      if (socket.destroyed) leave()
    },
    drop() {
      tied?.destroy()
      handshake.awaited?.destroy()
    },
    done() {
      clearTimeout(timer)
      socket.off('close', leave)
    },
  }
  const timer = setTimeout(() => {
    const { stream, awaited } = handshake
    if (awaited === undefined || awaited.destroyed) {
      stream.destroy()
      return
    }
    // A hanging upstream is ended first, so that the client can still be told and the decision be logged.
    awaited.destroy(new Error('the upstream did not answer within the handshake timeout'))
    timer.refresh()
  }, site.handshakeTimeoutMs)
  socket.once('close', leave)
  return handshake
}

/** Goes on over TLS; what the client has already sent of it is not lost. */
export function startTls(handshake: Handshake, ALPNProtocols?: string[]): Promise<TLSSocket> {
  const { secureContext, gate, hold } = handshake.site
  const { client } = describeClient(handshake.stream)
  const stream = new TLSSocket(handshake.stream, {
    isServer: true,
    secureContext,
    ...(ALPNProtocols && { ALPNProtocols }),
  })
  hold(stream)
  handshake.stream = stream
  return new Promise((resolve, reject) => {
    stream.once('secure', () => resolve(stream))
    stream.once('close', () => {
      recordDistrust(gate, stream, client)
      reject(new PeerGone())
    })
  })
}

/** Where a client comes from, and over what. */
export function describeClient(stream: Socket): { readonly client: string; readonly tls?: DecisionTls } {
  const client = `${stream.remoteAddress}:${stream.remotePort}`
  if (!(stream instanceof TLSSocket)) return { client }
  return {
    client,
    tls: { version: stream.getProtocol() ?? 'unknown', cipher: stream.getCipher().standardName },
  }
}

/** Sends the last words and closes; the handshake timeout ends a client that does not close its side. */
export function finish(stream: Socket, bytes: Buffer): void {
  stream.end(bytes)
  stream.resume()
}
