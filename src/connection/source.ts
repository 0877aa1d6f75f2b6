import type { Invocation } from './invocation.ts'

/** What one invocation holds until it gives it back. */
export interface Lease<Connection> {
  readonly connection: Connection
}

/** Lends connections to invocations: a client to one at a time, a pool to all. */
export interface Lender<Connection> {
  /** Begins to connect ahead of the first invocation. Never throws; a failure costs nothing but its time. */
  prefetch(): void
  /**
   * A connection that is alive. Not a promise where it needs no waiting.
   *
   * @throws {RdsIamError} where none is to be had before the invocation's deadline.
   */
  lend(invocation: Invocation): Lease<Connection> | Promise<Lease<Connection>>
  /** Takes a connection back. Once is enough, and a second time does nothing. */
  giveBack(lease: Lease<Connection>): void | Promise<void>
  /** Takes a connection from a handler that was cut off and may still run: it is closed, so that nobody else's queries mix with it. */
  abandon(lease: Lease<Connection>): void
  /**
   * Ends the connections that nobody uses politely, and from then on those that are given back. Never rejects; ends when the sockets
   * are closed.
   */
  shutDown(): Promise<void>
}
