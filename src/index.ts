export { RdsIamError, type RdsIamErrorCode } from './errors.ts'
export type {
  ConnectionClosedEvent,
  ConnectionClosedReason,
  ConnectionFailedEvent,
  ConnectionOpenedEvent,
  ConnectionRetriedEvent,
  ConnectionReusedEvent,
  DatabaseEvent,
  RdsIamEvent,
  TokenSignedEvent,
  TransactionRolledBackEvent,
} from './events.ts'
export {
  type ConnectArnOptions,
  type ConnectPolicy,
  type ConnectPolicyOptions,
  connectArn,
  connectPolicy,
} from './policy.ts'
export { type CheckPolicyOptions, checkPolicy, type PolicyCheck, type PolicyFinding } from './policy-check.ts'
export {
  type CreateUserSqlOptions,
  createUserSql,
  type DropUserSql,
  type DropUserSqlOptions,
  dropUserSql,
  type UserSqlOptions,
} from './users.ts'
