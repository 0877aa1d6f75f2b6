import type { Socket } from 'node:net'
import { RdsIamError } from 'middy-rds-iam'
import type { LoginSource } from 'middy-rds-iam/login-source'
import type { ProxyEvent } from './events.ts'

/** What a proxy gives to each of its connections. */
export interface Site {
  readonly source: LoginSource
  /** What clients have to give; `undefined` for nothing. */
  readonly password: string | undefined
  /** Is given every socket that is made, to listen to its errors and to end it with the proxy. */
  readonly hold: (socket: Socket) => void
  readonly tell: (event: ProxyEvent) => void
}

/** How long a client may take until it has given its password, in milliseconds: as long as MySQL gives it. */
export const clientTimeoutMs = 10_000

/** A client's connection up to its session. */
export interface Visit {
  readonly socket: Socket
  readonly site: Site
  readonly client: string
  readonly startedMs: number
  user: string
  database: string
  /**
   * The client has done its part: from now on, it is the database that is waited for, for as long as the
   * client is there.
   */
  readonly admitted: () => void
  /** Makes a socket the client's connection to the database: a client that leaves takes it along. */
  readonly tie: (upstream: Socket) => void
  /**
   * Ends the tie, and every wait for the client: once both are joined, the end of one is passed on in order.
   */
  readonly untie: () => void
}

export function beginVisit(socket: Socket, site: Site): Visit {
  const tied = new Set<Socket>()
  const leave = (): void => {
    clearTimeout(timer)
    for (const upstream of tied) upstream.destroy(new Ended('the client has left before it had a session'))
  }
  // One that has closed its side and left nothing to be passed on does not wait for an answer.
  const look = (): void => {
    if (socket.readableLength === 0) socket.destroy()
  }
  const timer = setTimeout(() => socket.destroy(), clientTimeoutMs)
  socket.once('close', leave)
  return {
    socket,
    site,
    client:
      socket.remoteAddress === undefined ? 'a local process' : `${socket.remoteAddress}:${socket.remotePort}`,
    startedMs: performance.now(),
    user: '',
    database: '',
    admitted() {
      clearTimeout(timer)
      socket.on('readable', look)
    },
    tie(upstream) {
      site.hold(upstream)
      tied.add(upstream)
      upstream.once('close', () => tied.delete(upstream))
      if (socket.destroyed) leave()
    },
    untie() {
      clearTimeout(timer)
      socket.off('close', leave).off('readable', look)
    },
  }
}

/** Nobody waits for a login any more: it is not tried again. */
export class Ended extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Ended'
  }
}

/** Tells of a session, and of its end. */
export function tellSession({ socket, site, client, user, database, startedMs }: Visit): void {
  const about = { client, user, database }
  const openedMs = performance.now()
  site.tell({ event: 'session:opened', ...about, durationMs: Math.round(openedMs - startedMs) })
  socket.once('close', () => {
    const durationMs = Math.round(performance.now() - openedMs)
    site.tell({ event: 'session:closed', ...about, durationMs })
  })
}

export function tellRefusal({ site, client, user, database }: Visit, detail: string): void {
  site.tell({ event: 'client:refused', client, user, database, detail })
}

/** Tells why there is no session, in one error of the package whatever it was. */
export function tellFailure({ site, client, user, database }: Visit, cause: unknown): RdsIamError {
  const error =
    cause instanceof RdsIamError
      ? cause
      : new RdsIamError('RDS_IAM_UNAVAILABLE', cause instanceof Error ? cause.message : String(cause), {
          cause,
        })
  site.tell({ event: 'session:failed', client, user, database, error })
  return error
}

/** Sends the last words and closes; a client that does not close its side is ended. */
export function finish(socket: Socket, bytes: Buffer): void {
  socket.end(bytes)
  socket.resume()
  socket.setTimeout(clientTimeoutMs, () => socket.destroy())
}
