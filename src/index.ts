/**
 * What tools and scripts need: errors, events, policies, database users, tokens and trust. A function imports
 * `middy-rds-iam/pg` or `middy-rds-iam/mysql2` instead, which load less.
 *
 * @example
 * ```ts
 * import { connectPolicy, createUserSql } from 'middy-rds-iam'
 *
 * const database = { region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234' }
 * console.log(JSON.stringify(connectPolicy({ ...database, user: 'orders_app' })))
 * console.log(createUserSql({ engine: 'postgres', user: 'orders_app' }).join('\n'))
 * ```
 * @module middy-rds-iam
 */
export { createTokenSource, type TokenSourceOptions } from './access/token-source.ts'
export { type TrustedTlsOptions, trustedTls } from './access/trusted-tls.ts'
export { RdsIamError, type RdsIamErrorCode } from './errors/rds-iam-error.ts'
export type {
  ConnectionCheckedEvent,
  ConnectionClosedEvent,
  ConnectionClosedReason,
  ConnectionFailedEvent,
  ConnectionOpenedEvent,
  ConnectionReadOnlyEvent,
  ConnectionRetriedEvent,
  DatabaseEvent,
  QueryRefusedEvent,
  RdsIamEvent,
  RegionAssumedEvent,
  RegionMovedEvent,
  SessionNotResetEvent,
  TokenSignedEvent,
  TransactionRolledBackEvent,
  TrustIncompleteEvent,
} from './events/events.ts'
export {
  type CheckPolicyOptions,
  checkPolicy,
  type PolicyCheck,
  type PolicyFinding,
} from './policy/check-policy.ts'
export {
  type ConnectArnOptions,
  type ConnectPolicy,
  type ConnectPolicyOptions,
  connectArn,
  connectPolicy,
} from './policy/connect-policy.ts'
export type { PlainTls } from './trust/plain-tls.ts'
export {
  type CreateUserSqlOptions,
  createUserSql,
  type DropUserSql,
  type DropUserSqlOptions,
  dropUserSql,
  type UserSqlOptions,
} from './users/user-sql.ts'
