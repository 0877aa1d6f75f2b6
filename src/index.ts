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
  RdsIamEvent,
  RegionAssumedEvent,
  RegionMovedEvent,
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
export {
  type CreateUserSqlOptions,
  createUserSql,
  type DropUserSql,
  type DropUserSqlOptions,
  dropUserSql,
  type UserSqlOptions,
} from './users/user-sql.ts'
