import type { Socket } from 'node:net'
import type { VerifiedTls } from 'middy-rds-iam/login-source'
import { cancel } from './postgres-login.ts'

/** How long a request to cancel may take, in milliseconds. */
const cancelTimeoutMs = 10_000

/** Leads requests to cancel to the server that has the session: a name may lead to another one by now. */
export interface Cancels {
  /** Remembers where a session is. @returns Forgets it. */
  add(key: Buffer, session: Session): () => void
  /** Passes a CancelRequest on, to the one server that the key is of, or to none. Never rejects. */
  pass(request: Buffer): Promise<void>
}

/** A session's socket, and how its server is verified. */
export interface Session {
  readonly socket: Pick<Socket, 'remoteAddress' | 'remotePort'>
  readonly tls: VerifiedTls
}

export function createCancels(hold: (socket: Socket) => void): Cancels {
  const sessions = new Map<
    string,
    { readonly host: string; readonly port: number; readonly tls: VerifiedTls }
  >()
  return {
    add(key, { socket: { remoteAddress, remotePort }, tls }) {
      const name = key.toString('latin1')
      if (remoteAddress !== undefined && remotePort !== undefined)
        sessions.set(name, { host: remoteAddress, port: remotePort, tls })
      return () => sessions.delete(name)
    },
    async pass(request) {
      // Its length and its code come first.
      const server = sessions.get(request.toString('latin1', 8))
      if (server === undefined) return
      const signal = AbortSignal.timeout(cancelTimeoutMs)
      // Nobody hears of the outcome: the protocol has no answer to it.
      await cancel({ ...server, signal }, request, hold).catch(() => {})
    },
  }
}
