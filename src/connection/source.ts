import type { Invocation } from './invocation.ts'

/** What one invocation has until it is released. */
export interface Lease<Connection> {
  readonly connection: Connection
}

/** Where invocations get their connections from: a client for one at a time, or one pool for all. */
export interface ConnectionSource<Connection> {
  /** Begins to connect ahead of the first invocation. Never throws; a failure costs nothing but its time. */
  prefetch(): void
  /**
   * Gives an invocation a connection that is alive. Not a promise where nothing has to be waited for.
   *
   * @throws {RdsIamError} where there is none before the invocation's deadline.
   */
  acquire(invocation: Invocation): Lease<Connection> | Promise<Lease<Connection>>
  /**
   * Tells that the handler has the connection from now on: what was sent before, as by `wrap`, belongs to the
   * connection.
   */
  begin(lease: Lease<Connection>): void
  /**
   * Takes a connection back. Once is enough, and a second time does nothing. What restores its session is
   * sent by then, and waited for by the next invocation.
   */
  release(lease: Lease<Connection>): void | Promise<void>
  /**
   * Closes the connection of a handler that was cut off and may still run, so that its queries mix with no
   * other handler's.
   */
  discard(lease: Lease<Connection>): void
  /**
   * Ends idle connections politely, and from then on those that are released. Never rejects; resolves when
   * the sockets are closed.
   */
  shutDown(): Promise<void>
  /**
   * Ends all connections: idle ones at once and politely, those in use when they are released, or after five
   * seconds. Whoever asks for one afterwards gets an error. A second time is the same time. Never rejects.
   */
  close(): Promise<void>
}
