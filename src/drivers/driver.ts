import type { Asker } from '../retries/retry.ts'
import type { Token } from '../token/token.ts'
import type { VerifiedTls } from '../trust/verified-tls.ts'
import type { Caller } from './callers.ts'

/** What a driver needs for one physical connection. */
export interface ConnectRequest {
  readonly tls: VerifiedTls
  /**
   * Called once the server asks for the token, over TLS, and not before; again where the handler
   * authenticates again.
   */
  readonly token: () => Promise<Token>
  readonly timeoutMs: number
  /** Gives the connection up while it is being opened. */
  readonly signal?: AbortSignal | undefined
}

/** The session of one physical connection. Nothing here waits for the network but what returns a promise. */
export interface Session {
  /** Whether the connection can take a query, as far as the process knows. */
  isUsable(): boolean
  /**
   * Whether a query is still running, or waiting to, that somebody may wait for. What its user has given up,
   * such as a stream or a cursor that is being closed, ends by itself.
   */
  isBusy(): boolean
  /** Whether something of that kind has still to end. */
  isEnding(): boolean
  /** Whether a transaction is open; `undefined` where the server has not said so yet. */
  isInTransaction(): boolean | undefined
  /**
   * Tells that somebody has the connection from now on. What was sent before, as by a pool's `connect`
   * listeners, belongs to the session, and is sent again whenever it is reset.
   */
  begin(): void
  /** Whether anything was sent since the session was as after connecting: all that proves that it still is. */
  isTouched(): boolean
  /** Who used the session last since then, where that is known. */
  user: Caller | undefined
  /**
   * Whether the server takes writes, as it says itself. A promise, for one round trip, where it has not said so
   * at login.
   */
  takesWrites(): boolean | Promise<boolean>
  /** Asks the server for a sign of life, for one round trip. */
  ping(): Promise<unknown>
  /**
   * Rolls back, and puts the session's state back to what it was after connecting. All of it is sent at once,
   * and in as few messages as the protocol allows; after `before`, where that is given.
   *
   * @returns Whether the server told only now of a transaction that was open.
   */
  restore(what: {
    readonly rollback: boolean
    readonly reset: boolean
    readonly before: Promise<void> | undefined
  }): Promise<boolean>
  /** Whether the server can put a session's state back, as far as is known. */
  canReset(): boolean
  /** Whether the session is restored, while that is under way, and after it has failed. */
  restoration: Promise<boolean> | undefined
  /** Forgets what its user left in this process: the asynchronous context, and listeners. */
  leave(): void
  /**
   * Ends the connection at once: politely where it is idle, by its socket where it is not. Queries that are
   * running are not told: an error that nobody awaits would end the process. Never throws, and never rejects;
   * resolves when the socket is closed.
   */
  close(): Promise<void>
  /** Has the connection keep the process alive, as one that is in use does. */
  ref(): void
  /** Lets the process end although the connection is open, as an idle one does. */
  unref(): void
}

/** A connection as the handler gets it, and its session. */
export interface Opened<Connection> {
  readonly connection: Connection
  readonly session: Session
}

/**
 * Opens one connection. Rejects with the driver's own error, leaving neither a socket nor a listener behind.
 */
export type Connect<Connection> = (request: ConnectRequest) => Promise<Opened<Connection>>

/** A pool as the handler gets it, and how it is looked after. */
export interface OpenPool<Pool> {
  readonly pool: Pool
  /** Whether the pool can still be used: the handler may have ended it. */
  isOpen(): boolean
  /** How many connections the pool holds or is opening. */
  size(): number
  /** Whether a call of the handler's waits for a connection, or one is being taken back. */
  isTaking(): boolean
  /**
   * Ends what a caller has of the pool, or what everybody has. Connections that were not released are closed,
   * and requests that wait are forgotten. They are not told: an error that nobody awaits would end the
   * process. The sessions that were used begin to be restored.
   */
  endUse(caller: Caller | undefined): { readonly closed: number; readonly forgotten: number }
  /**
   * Closes all connections, as {@link endUse} closes some, and leaves the pool open.
   *
   * @returns How many there were.
   */
  discardAll(): number
  /** Opens one connection and leaves it in the pool. Who asks for one meanwhile waits for it. */
  warm(asker: Asker): Promise<void>
  /** Pings every idle connection that has been silent for long, and closes those that do not answer. */
  checkIdle(asker: Asker): Promise<void>
  /**
   * Ends every idle connection politely, and leaves the pool open. Never rejects; resolves when their sockets
   * are closed.
   */
  closeIdle(): Promise<void>
  /**
   * Ends the pool: who asks it for a connection gets an error from now on. Connections in use are closed when
   * they are released, or when the time is over. A second time is the same time. Never rejects; resolves when
   * the sockets are closed.
   *
   * @param timeMs How long to wait for them, in milliseconds. @default 5000
   */
  close(timeMs?: number): Promise<void>
}

/**
 * Makes a pool without connections. Each that it opens later authenticates with a valid token.
 *
 * @param askerNow On whose behalf the pool is asked for a connection now.
 */
export type CreatePool<Pool> = (askerNow: () => Asker) => OpenPool<Pool>
