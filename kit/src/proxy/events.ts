import type { RdsIamError, RdsIamEvent } from 'middy-rds-iam'

/** A client of the local port that an event is about. */
interface ClientEvent {
  /** Its address, for example `'127.0.0.1:50123'`; at a Unix socket `'a local process'`. */
  readonly client: string
  /** The database user as the client gave it; empty where it gave none. */
  readonly user: string
  /** The database as the client gave it; empty where it gave none. */
  readonly database: string
}

/**
 * A client has a session at the database.
 *
 * @example
 * ```ts
 * { event: 'session:opened', durationMs: 31.5,
 *   client: '127.0.0.1:50123', user: 'orders_app', database: 'orders' }
 * ```
 */
export interface SessionOpenedEvent extends ClientEvent {
  /** The name of the event. */
  readonly event: 'session:opened'
  /** In milliseconds, from the client's connecting to its session, its own time included. */
  readonly durationMs: number
}

/**
 * A session has ended, by the client or by the database.
 *
 * @example
 * ```ts
 * { event: 'session:closed', durationMs: 60_000,
 *   client: '127.0.0.1:50123', user: 'orders_app', database: 'orders' }
 * ```
 */
export interface SessionClosedEvent extends ClientEvent {
  /** The name of the event. */
  readonly event: 'session:closed'
  /** How long it was open, in milliseconds. */
  readonly durationMs: number
}

/**
 * A client was refused by the proxy itself, and nothing was tried for it.
 *
 * @example
 * ```ts
 * { event: 'client:refused', detail: 'the password is wrong',
 *   client: '127.0.0.1:50123', user: 'orders_app', database: 'orders' }
 * ```
 */
export interface ClientRefusedEvent extends ClientEvent {
  /** The name of the event. */
  readonly event: 'client:refused'
  /** What the client was told. */
  readonly detail: string
}

/**
 * There is no session for a client, which was told why.
 *
 * @example const log = ({ user, error }: SessionFailedEvent) => console.error(user, error.code, error.message)
 */
export interface SessionFailedEvent extends ClientEvent {
  /** The name of the event. */
  readonly event: 'session:failed'
  /** What it means and what to check. */
  readonly error: RdsIamError
}

/**
 * What happens to a proxy's clients; and what happens to its connections to the database, as the middlewares
 * tell it: `connection:opened`, `connection:retried`, `token:signed` and so on. No event has a token in it.
 *
 * @example
 * ```ts
 * const log = (event: ProxyEvent) => {
 *   if (event.event === 'session:failed') console.error(event.error.message)
 * }
 * ```
 */
export type ProxyEvent =
  | SessionOpenedEvent
  | SessionClosedEvent
  | ClientRefusedEvent
  | SessionFailedEvent
  | RdsIamEvent
