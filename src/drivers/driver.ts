import type { Asker } from '../retries/retry.ts'
import type { Token } from '../token/token.ts'
import type { VerifiedTls } from '../trust/verified-tls.ts'

/** What a driver needs for one physical connection. */
export interface ConnectRequest {
  readonly tls: VerifiedTls
  /**
   * Called once the server asks for the token, over TLS, and not before; again where the handler
   * authenticates again.
   */
  readonly token: () => Promise<Token>
  readonly timeoutMs: number
}

/** The session of one physical connection. Nothing here waits for the network but what returns a promise. */
export interface Session {
  /** Whether the connection can take a query, as far as the process knows. */
  isUsable(): boolean
  /** Whether a query is still running, or waiting to. */
  isBusy(): boolean
  /**
   * Resolves when the server is ready for another query, `undefined` where it is ready now. A server says so
   * after a query's error, often in another packet, and only then tells the state of the transaction.
   */
  whenReady(): Promise<unknown> | undefined
  /** Whether a transaction is open; `undefined` where only a ping can tell. */
  isInTransaction(): boolean | undefined
  /** Asks the server for a sign of life, for one round trip. */
  ping(): Promise<unknown>
  rollback(): Promise<unknown>
  /** Puts the session's state back to what it was after connecting. */
  reset(): Promise<unknown>
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
   * Closes the connections that the handler has, and forgets its calls that wait for one. They are not told:
   * an error that nobody awaits would end the process.
   */
  discardAcquired(): { readonly closed: number; readonly forgotten: number }
  /**
   * Closes all connections, as {@link discardAcquired} closes some, and leaves the pool open.
   *
   * @returns How many there were.
   */
  discardAll(): number
  /** Resolves when the connections that the handler released are restored; `undefined` where all are. */
  whenRestored(): Promise<unknown> | undefined
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
