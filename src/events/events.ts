import type { RdsIamErrorCode } from '../errors/rds-iam-error.ts'

/** The database that an event is about. */
export interface DatabaseEvent {
  readonly host: string
  readonly port: number
  /** Empty where there is none, with MySQL. */
  readonly database: string
  readonly user: string
}

/** A physical connection was opened and authenticated. */
export interface ConnectionOpenedEvent extends DatabaseEvent {
  readonly event: 'connection:opened'
  /** From DNS to the server's readiness for a query, signing included. */
  readonly durationMs: number
  /** Whether the token had been signed for an earlier connection. */
  readonly tokenReused: boolean
}

/**
 * A connection that had been silent for `pingAfterIdleMs` was checked: it answered a ping, and is used again.
 */
export interface ConnectionCheckedEvent extends DatabaseEvent {
  readonly event: 'connection:checked'
  /** By the wall clock; infinite where that stepped back. */
  readonly silenceMs: number
  /** Of the ping. */
  readonly durationMs: number
}

/**
 * Why a connection was closed:
 *
 * | reason | means |
 * |---|---|
 * | `lost` | it had ended while nobody used it: an idle timeout, a failover |
 * | `silent` | it did not answer a ping, or others that were silent for as long did not |
 * | `overtaken` | another one was opened in the meantime, and this one was ready first, or not soon enough |
 * | `ended` | the server, the network or the handler ended it during an invocation, or the handler changed its user |
 * | `query-running` | the handler gave it back with a query still running |
 * | `not-released` | the handler did not release it to its pool |
 * | `cut-off` | middy or Lambda cut off the handler that had it |
 * | `not-restored` | its session could not be put back |
 * | `read-only` | a writer was wanted (`targetSessionAttrs`), and the server takes no writes |
 * | `shutdown` | the execution environment is shutting down |
 */
export type ConnectionClosedReason =
  | 'lost'
  | 'silent'
  | 'overtaken'
  | 'ended'
  | 'query-running'
  | 'not-released'
  | 'cut-off'
  | 'not-restored'
  | 'read-only'
  | 'shutdown'

/** Connections are closed, or were found closed; another one takes their place when it is needed. */
export interface ConnectionClosedEvent extends DatabaseEvent {
  readonly event: 'connection:closed'
  readonly reason: ConnectionClosedReason
  /** How many: more than one only where a pool loses several at once. */
  readonly connections: number
}

/** An attempt to connect failed, or is silent, and another one follows: after a pause, or beside the silent one. */
export interface ConnectionRetriedEvent extends DatabaseEvent {
  readonly event: 'connection:retried'
  /** What the attempt failed with; `RDS_IAM_UNREACHABLE` where it is silent. */
  readonly code: RdsIamErrorCode
  /** The number of the attempt, from 1; an invocation that waited for the initialisation in vain counts on. */
  readonly attempt: number
  /** The pause before the next one. */
  readonly delayMs: number
  /**
   * How many fresh tokens the server has refused so far: one that was signed for an earlier connection does
   * not count.
   */
  readonly refusals: number
  readonly error: Error
}

/** No connection was opened. The caller that waited for it, if there is one, gets the error. */
export interface ConnectionFailedEvent extends DatabaseEvent {
  readonly event: 'connection:failed'
  readonly code: RdsIamErrorCode
  /** Of all attempts. */
  readonly durationMs: number
  readonly error: Error
}

/**
 * A new connection to a server that takes no writes is lent although a writer was wanted
 * (`targetSessionAttrs`): none was found in time.
 */
export interface ConnectionReadOnlyEvent extends DatabaseEvent {
  readonly event: 'connection:read-only'
  /** How long a writer was looked for. */
  readonly durationMs: number
}

/** The handler left a transaction open, and it is rolled back. */
export interface TransactionRolledBackEvent extends DatabaseEvent {
  readonly event: 'transaction:rolled-back'
}

/**
 * Session state crosses from one invocation to the next, because it is not put back. It is told once: for an
 * endpoint of RDS Proxy when the middleware is made, for a server when that is known.
 */
export interface SessionNotResetEvent extends DatabaseEvent {
  readonly event: 'session:not-reset'
  /** `rds-proxy`: it would pin the session; `server`: the server cannot do it, as MySQL before 5.7.3. */
  readonly reason: 'rds-proxy' | 'server'
}

/** A query of an invocation that has ended was not run: the connection may be another one's by now. */
export interface QueryRefusedEvent extends DatabaseEvent {
  readonly event: 'query:refused'
  /** The request id of the invocation that has ended, where it is known. */
  readonly requestId: string | undefined
}

/** An authentication token was signed. */
export interface TokenSignedEvent extends DatabaseEvent {
  readonly event: 'token:signed'
  /** With the time to load the signer and to fetch credentials, where that was needed. */
  readonly durationMs: number
  /** `2026-01-31T12:00:00.000Z`; the token, or the credentials that signed it, end then. */
  readonly expiresAt: string
}

/**
 * No certificate authorities of Amazon RDS are known for the Region of the database, so that those of Amazon
 * Trust Services are trusted alone.
 */
export interface TrustIncompleteEvent extends DatabaseEvent {
  readonly event: 'trust:incomplete'
  /** The database's Region, for example `eusc-de-east-1`. */
  readonly region: string
  /** How to go on if the server is refused. */
  readonly remedy: string
}

/**
 * DNS does not tell the Region of a global database's writer, so that tokens are signed for another one that is
 * likely: the Region that it was in, or that of the environment.
 */
export interface RegionAssumedEvent extends DatabaseEvent {
  readonly event: 'region:assumed'
  /** The Region that is taken, for example `eu-west-1`. */
  readonly region: string
  /** What was seen of DNS, for example `no answer from DNS`. */
  readonly observed: string
}

/** The writer of a global database has moved to another Region, and is followed there. */
export interface RegionMovedEvent extends DatabaseEvent {
  readonly event: 'region:moved'
  /** Where it was, for example `eu-west-1`. */
  readonly from: string
  /** Where it is, for example `us-east-1`. */
  readonly to: string
}

/**
 * What happens to connections. Each event is one line of the `logger`, with these fields, and one message on
 * the channel
 * `middy-rds-iam:` + `event` of `node:diagnostics_channel`.
 *
 * @example
 * ```ts
 * subscribe('middy-rds-iam:connection:opened', message => {
 *   record((message as ConnectionOpenedEvent).durationMs)
 * })
 * ```
 */
export type RdsIamEvent =
  | ConnectionOpenedEvent
  | ConnectionCheckedEvent
  | ConnectionClosedEvent
  | ConnectionRetriedEvent
  | ConnectionFailedEvent
  | ConnectionReadOnlyEvent
  | TransactionRolledBackEvent
  | SessionNotResetEvent
  | QueryRefusedEvent
  | TokenSignedEvent
  | TrustIncompleteEvent
  | RegionAssumedEvent
  | RegionMovedEvent
