import type { RdsIamErrorCode } from '../errors/rds-iam-error.ts'

/**
 * The database that an event is about.
 *
 * @example
 * ```ts
 * { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface DatabaseEvent {
  /** The host that is connected to, for example `orders.c1x2.eu-west-1.rds.amazonaws.com`. */
  readonly host: string
  /** The port, for example `5432`. */
  readonly port: number
  /** The database's name; empty where there is none, with MySQL. */
  readonly database: string
  /** The database user, for example `orders_app`. */
  readonly user: string
}

/**
 * A physical connection was opened and authenticated.
 *
 * @example
 * ```ts
 * { event: 'connection:opened', durationMs: 21.4, tokenReused: false,
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface ConnectionOpenedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'connection:opened'
  /** In milliseconds, from DNS to the server's readiness for a query, signing included. */
  readonly durationMs: number
  /** Whether the token had been signed for an earlier connection. */
  readonly tokenReused: boolean
}

/**
 * A connection that had been silent for `pingAfterIdleMs` was checked: it answered a ping, and is used again.
 *
 * @example
 * ```ts
 * { event: 'connection:checked', silenceMs: 1_800_000, durationMs: 0.8,
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface ConnectionCheckedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'connection:checked'
  /** In milliseconds, by the wall clock; infinite where that stepped back. */
  readonly silenceMs: number
  /** Of the ping, in milliseconds. */
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
 *
 * @example 'lost'
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

/**
 * Connections are closed, or were found closed; another one takes their place when it is needed.
 *
 * @example
 * ```ts
 * { event: 'connection:closed', reason: 'lost', connections: 1,
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface ConnectionClosedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'connection:closed'
  /** Why, for example `lost`. */
  readonly reason: ConnectionClosedReason
  /** How many: more than one only where a pool loses several at once. */
  readonly connections: number
}

/**
 * An attempt to connect failed, or is silent, and another one follows: after a pause, or beside the silent
 * one.
 *
 * @example
 * ```ts
 * { event: 'connection:retried',
 *   code: 'RDS_IAM_UNAVAILABLE', attempt: 1, delayMs: 100, refusals: 0, error: new Error('starting up'),
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface ConnectionRetriedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'connection:retried'
  /** What the attempt failed with; `RDS_IAM_UNREACHABLE` where it is silent. */
  readonly code: RdsIamErrorCode
  /** The number of the attempt, from 1; an invocation that waited for the initialisation in vain counts on. */
  readonly attempt: number
  /** The pause before the next one, in milliseconds. */
  readonly delayMs: number
  /**
   * How many fresh tokens the server has refused so far: one that was signed for an earlier connection does
   * not count.
   */
  readonly refusals: number
  /** The error of the attempt, an `RdsIamError`; where it is silent, one that says so. */
  readonly error: Error
}

/**
 * No connection was opened. The caller that waited for it, if there is one, gets the error.
 *
 * @example
 * ```ts
 * { event: 'connection:failed',
 *   code: 'RDS_IAM_UNREACHABLE', durationMs: 10_000, error: new Error('no connection'),
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface ConnectionFailedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'connection:failed'
  /** The code of the error. */
  readonly code: RdsIamErrorCode
  /** Of all attempts, in milliseconds. */
  readonly durationMs: number
  /** What the caller gets: an `RdsIamError`. */
  readonly error: Error
}

/**
 * A new connection to a server that takes no writes is lent although a writer was wanted
 * (`targetSessionAttrs`): none was found in time.
 *
 * @example
 * ```ts
 * { event: 'connection:read-only', durationMs: 10_000,
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface ConnectionReadOnlyEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'connection:read-only'
  /** How long a writer was looked for, in milliseconds. */
  readonly durationMs: number
}

/**
 * The handler left a transaction open, and it is rolled back.
 *
 * @example
 * ```ts
 * { event: 'transaction:rolled-back',
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface TransactionRolledBackEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'transaction:rolled-back'
}

/**
 * Session state crosses from one invocation to the next, because it is not put back. It is told once: for an
 * endpoint of RDS Proxy when the middleware is made, for a server when that is known.
 *
 * @example
 * ```ts
 * { event: 'session:not-reset', reason: 'rds-proxy',
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface SessionNotResetEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'session:not-reset'
  /** `rds-proxy`: it would pin the session; `server`: the server cannot do it, as MySQL before 5.7.3. */
  readonly reason: 'rds-proxy' | 'server'
}

/**
 * A query of an invocation that has ended was not run: the connection may be another one's by now.
 *
 * @example
 * ```ts
 * { event: 'query:refused', requestId: '8f507cfc-xmpl-4697-b07a-ac58fc914c95',
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface QueryRefusedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'query:refused'
  /** The request id of the invocation that has ended, where it is known. */
  readonly requestId: string | undefined
}

/**
 * An authentication token was signed.
 *
 * @example
 * ```ts
 * { event: 'token:signed', durationMs: 3.2, expiresAt: '2026-01-31T12:00:00.000Z',
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface TokenSignedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'token:signed'
  /** In milliseconds, with the time to load the signer and to fetch credentials, where that was needed. */
  readonly durationMs: number
  /** `2026-01-31T12:00:00.000Z`; the token, or the credentials that signed it, end then. */
  readonly expiresAt: string
}

/**
 * No certificate authorities of Amazon RDS are known for the Region of the database, so that those of Amazon
 * Trust Services are trusted alone.
 *
 * @example
 * ```ts
 * { event: 'trust:incomplete',
 *   region: 'eusc-de-east-1', remedy: 'If the server is refused, pass … as `tls.ca`.',
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface TrustIncompleteEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'trust:incomplete'
  /** The database's Region, for example `eusc-de-east-1`. */
  readonly region: string
  /** How to go on if the server is refused. */
  readonly remedy: string
}

/**
 * DNS does not tell the Region of a global database's writer, so that tokens are signed for another one that is
 * likely: the Region that it was in, or that of the environment.
 *
 * @example
 * ```ts
 * { event: 'region:assumed', region: 'eu-west-1', observed: 'no answer from DNS',
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface RegionAssumedEvent extends DatabaseEvent {
  /** The name of the event. */
  readonly event: 'region:assumed'
  /** The Region that is taken, for example `eu-west-1`. */
  readonly region: string
  /** What was seen of DNS, for example `no answer from DNS`. */
  readonly observed: string
}

/**
 * The writer of a global database has moved to another Region, and is followed there.
 *
 * @example
 * ```ts
 * { event: 'region:moved', from: 'eu-west-1', to: 'us-east-1',
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, database: 'orders', user: 'orders_app' }
 * ```
 */
export interface RegionMovedEvent extends DatabaseEvent {
  /** The name of the event. */
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
 * import { subscribe } from 'node:diagnostics_channel'
 *
 * subscribe('middy-rds-iam:connection:opened', message => {
 *   console.log((message as ConnectionOpenedEvent).durationMs)
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
