import { connect, type Socket } from 'node:net'
import { PeerGone } from '../wire/bytes.ts'

/** The server behind the gateway. */
export interface Upstream {
  readonly host: string
  readonly port: number
  readonly password: (user: string) => string | undefined
}

/**
 * Connects.
 *
 * @param hold Is given the socket at once, so that it can be ended from outside.
 * @throws {Error} With the reason of the network, where it does not work.
 */
export function reachUpstream(upstream: Upstream, hold: (socket: Socket) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: upstream.host, port: upstream.port, noDelay: true, keepAlive: true })
    hold(socket)
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
    socket.once('close', () => reject(new PeerGone()))
  })
}
