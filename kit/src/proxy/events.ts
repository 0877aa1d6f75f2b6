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

/** A client has a session at the database. */
export interface SessionOpenedEvent extends ClientEvent {
  readonly event: 'session:opened'
  /** From the client's connecting to its session, its own time included. */
  readonly durationMs: number
}

/** A session has ended, by the client or by the database. */
export interface SessionClosedEvent extends ClientEvent {
  readonly event: 'session:closed'
  /** How long it was open. */
  readonly durationMs: number
}

/** A client was refused by the proxy itself, and nothing was tried for it. */
export interface ClientRefusedEvent extends ClientEvent {
  readonly event: 'client:refused'
  /** What the client was told. */
  readonly detail: string
}

/** There is no session for a client, which was told why. */
export interface SessionFailedEvent extends ClientEvent {
  readonly event: 'session:failed'
  readonly error: RdsIamError
}

/**
 * What happens to a proxy's clients; and what happens to its connections to the database, as the middlewares
 * tell it: `connection:opened`, `connection:retried`, `token:signed` and so on. No event has a token in it.
 */
export type ProxyEvent =
  | SessionOpenedEvent
  | SessionClosedEvent
  | ClientRefusedEvent
  | SessionFailedEvent
  | RdsIamEvent
