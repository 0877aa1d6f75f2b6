import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { LoginAttempt } from 'middy-rds-iam/login-source'
import { PeerGone } from '../wire/bytes.ts'

/**
 * How long a connection may be idle until a sign of life is sent, in milliseconds. AWS forgets an idle flow
 * after 350 s at its NAT gateways and network load balancers, and this system would begin after two hours.
 *
 * @see https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html
 */
const keepAliveInitialDelay = 60_000

/** An error of a server's, with what the explanations know it by. */
export class ServerError extends Error {
  /** A SQLSTATE, or a name such as `ER_ACCESS_DENIED_ERROR`. */
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.name = 'ServerError'
    this.code = code
  }
}

/** A connection to the database on its way. */
export interface Line {
  /** Connects over TCP. */
  reach(): Promise<Socket>
  /** Goes on over verified TLS. */
  encrypt(): Promise<TLSSocket>
}

/** Where to connect to, and how to verify it. */
export type Dialled = Pick<LoginAttempt, 'host' | 'port' | 'tls' | 'signal'>

/**
 * Makes a connection to the database, and ends it where that fails or is given up.
 *
 * @param hold Is given each socket at once, so that it can be ended from outside.
 * @throws {Error} The true reason: of the network, of TLS, of the server, or of whoever gave it up.
 */
export async function dial<T>(
  { host, port, tls, signal }: Dialled,
  hold: (socket: Socket) => void,
  talk: (line: Line) => Promise<T>,
): Promise<T> {
  const sockets: Socket[] = []
  const keep = <S extends Socket>(socket: S): S => {
    sockets.unshift(socket)
    // Without a listener, an error would end the process; it is read of the socket.
    socket.on('error', () => {})
    hold(socket)
    return socket
  }
  const giveUp = (): void => void sockets[0]?.destroy()
  signal.addEventListener('abort', giveUp)
  try {
    signal.throwIfAborted()
    return await talk({
      async reach() {
        const socket = keep(connectTcp({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay }))
        await happens(socket, 'connect')
        return socket
      },
      async encrypt() {
        const socket = keep(connectTls({ ...tls, socket: sockets[0] as Socket }))
        await happens(socket, 'secureConnect')
        return socket
      },
    })
  } catch (error) {
    giveUp()
    throw signal.aborted ? signal.reason : reasonOf(sockets, error)
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
}

function happens(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve)
    socket.once('close', () => reject(new PeerGone()))
  })
}

/** Why a socket broke says more than that it did. */
function reasonOf(sockets: readonly Socket[], error: unknown): unknown {
  if (!(error instanceof PeerGone)) return error
  const broken = sockets.find(socket => socket.errored !== null)
  if (broken !== undefined) return broken.errored
  return Object.assign(new Error('the server ended the connection'), { code: 'ECONNRESET' })
}
