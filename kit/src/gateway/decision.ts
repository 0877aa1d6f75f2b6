/**
 * Why a connection was refused. The first five are what RDS's log `iam-db-auth-error` says; the others are
 * decided before IAM is asked.
 *
 * | reason | means |
 * |---|---|
 * | `InvalidToken` | changed, or signed for another host, port, Region or user or by an unknown key; or no token |
 * | `ExpiredToken` | older than its lifetime, or than the credentials that signed it |
 * | `NotAuthorized` | the policy does not allow it, denies it, or depends on what only AWS knows |
 * | `ThrottlingException` | over the limit of new connections a second |
 * | `InternalError` | the upstream cannot be reached, or does not let the gateway in |
 * | `NotEncrypted` | the client did not ask for TLS |
 * | `NotIamUser` | the database user is not an IAM user |
 * | `DirectTls` | the client began with TLS at once, and the server behind is older than PostgreSQL 17 |
 * | `NotTrusted` | the client does not trust the gateway's certificate, and has not said who it is |
 *
 * @example 'ExpiredToken'
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Troubleshooting.html
 */
export type RefusalReason =
  | 'InvalidToken'
  | 'ExpiredToken'
  | 'NotAuthorized'
  | 'ThrottlingException'
  | 'InternalError'
  | 'NotEncrypted'
  | 'NotIamUser'
  | 'DirectTls'
  | 'NotTrusted'

/**
 * The TLS connection that a client came over.
 *
 * @example { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' }
 */
export interface DecisionTls {
  /** For example `'TLSv1.3'`. */
  readonly version: string
  /** For example `'TLS_AES_256_GCM_SHA384'`. */
  readonly cipher: string
}

/**
 * A line of the decision log: who was let in or refused, and the true reason, without any secret in it.
 *
 * @example
 * ```ts
 * {
 *   at: new Date(), client: '127.0.0.1:50123', user: 'orders_app', database: 'orders',
 *   verdict: 'refused', reason: 'NotAuthorized',
 *   detail: 'no statement of the policy allows rds-db:connect on …',
 * }
 * ```
 */
export interface Decision {
  /** When it was decided, by the gateway's clock. */
  readonly at: Date
  /** The client's address, for example `'127.0.0.1:50123'`. */
  readonly client: string
  /** The database user as the client gave it; empty where it had not come so far. */
  readonly user: string
  /**
   * The database as the client gave it; where it gave none, PostgreSQL takes the user's name, and MySQL none.
   */
  readonly database: string
  /** `admitted` is IAM's verdict; where the upstream then refuses the session, `detail` says so. */
  readonly verdict: 'admitted' | 'refused'
  /** Set where `verdict` is `refused`. */
  readonly reason?: RefusalReason
  /** A sentence with the true reason. */
  readonly detail: string
  /** Absent where the client did not ask for TLS. */
  readonly tls?: DecisionTls
  /** When the token was signed, where it says so. */
  readonly tokenSignedAt?: Date
  /** Twelve digits of the token's SHA-256: tells tokens apart without showing them. */
  readonly tokenId?: string
}

/**
 * Counts since the gateway started.
 *
 * @example { connections: 3, open: 1, admitted: 2, refused: 1, tokens: 1 }
 */
export interface GatewayStats {
  /** Connections that reached the authentication, each having sent its token. */
  readonly connections: number
  /** TCP connections of clients that are open now, in whatever state. */
  readonly open: number
  /** Decisions `admitted`. */
  readonly admitted: number
  /** Decisions `refused`. */
  readonly refused: number
  /**
   * Distinct valid tokens seen, whatever the policy then said; bad ones are not counted, as anybody could
   * send them without end.
   */
  readonly tokens: number
}
