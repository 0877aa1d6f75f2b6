import type { Asker } from '../retries/retry.ts'
import type { TokenCache } from '../token/cache.ts'
import type { Token } from '../token/token.ts'
import type { VerifiedTls } from '../trust/verified-tls.ts'

/** What a driver needs for one physical connection. */
export interface ConnectRequest {
  readonly tls: VerifiedTls
  /** Called once the server asks for the token, over TLS, and not before; again where the handler authenticates again. */
  readonly token: () => Promise<Token>
  readonly timeoutMs: number
}

/** What differs between the drivers, for one connection. Nothing here waits for the network but what returns a promise. */
export interface Driver<Connection> {
  /** Rejects with the driver's own error, leaving neither a socket nor a listener behind. */
  connect(request: ConnectRequest): Promise<Connection>
  /** Whether the connection can take a query, as far as the process knows. */
  isUsable(connection: Connection): boolean
  /** Whether a query is still running, or waiting to. */
  isBusy(connection: Connection): boolean
  /**
   * Ends when the server is ready for another query: it says so after a query's error, often in another packet, and only then tells the
   * state of the transaction. Nothing where it is ready.
   */
  whenReady(connection: Connection): Promise<unknown> | undefined
  /** Whether a transaction is open; nothing where a ping has to tell. */
  isInTransaction(connection: Connection): boolean | undefined
  /** Asks the server for a sign of life, for one round trip. */
  ping(connection: Connection): Promise<unknown>
  rollback(connection: Connection): Promise<unknown>
  /** Puts the session's state back to what it was after connecting. */
  reset(connection: Connection): Promise<unknown>
  /**
   * Ends the connection at once: politely where it is idle, by its socket where it is not. Never throws, and never rejects; what it
   * returns ends when the socket is closed.
   */
  close(connection: Connection): Promise<void>
}

/** What differs between the drivers, for a pool that opens connections by itself. */
export interface PoolDriver<Pool> {
  /**
   * Opens a pool without connections. Each that it opens later authenticates with a valid token.
   *
   * @param askerNow On whose behalf the handler asks the pool for a connection now.
   */
  open(tls: VerifiedTls, tokens: TokenCache, askerNow: () => Asker): Promise<Pool>
  /** Whether the pool can still be used: the handler may have ended it. */
  isOpen(pool: Pool): boolean
  /** How many connections the pool holds or is opening. */
  size(pool: Pool): number
  /** Whether something that the handler called waits for a connection, or one is being taken back. */
  isTaking(pool: Pool): boolean
  /**
   * Closes the connections that the handler holds, forgets whatever of the handler's waits for one, and says how many they were. Those that
   * are forgotten are not told: an error that nobody awaits would end the process.
   */
  closeLent(pool: Pool): { readonly closed: number; readonly forgotten: number }
  /** Ends when the connections that the handler gave back are put in order; nothing where all are. */
  whenRestored(pool: Pool): Promise<unknown> | undefined
  /** Ends the pool: whoever still holds it gets errors. Never throws. */
  close(pool: Pool): void
  /** Opens one connection and leaves it in the pool. */
  warm(pool: Pool, asker: Asker): Promise<void>
  /**
   * Asks every idle connection for a sign of life, and closes those that give none in half of the time that is left, or in a second:
   * the rest is for a new one.
   */
  pingIdle(pool: Pool, asker: Asker, silenceMs: number): Promise<void>
  /** Ends every idle connection politely, and leaves the pool open. Never rejects; ends when their sockets are closed. */
  closeIdle(pool: Pool): Promise<void>
}
