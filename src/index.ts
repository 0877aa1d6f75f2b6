export { RdsIamError, type RdsIamErrorCode } from './errors.ts'
