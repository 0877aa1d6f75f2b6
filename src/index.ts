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
