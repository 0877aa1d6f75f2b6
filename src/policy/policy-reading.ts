/**
 * Reads IAM policies and decides by their statements, for tools that evaluate policies themselves. To have a
 * policy explained, use `checkPolicy` of `middy-rds-iam`.
 *
 * @example
 * ```ts
 * import { connectAction, decide, readPolicyDocument } from 'middy-rds-iam/policy'
 *
 * const statement = { Effect: 'Allow', Action: connectAction, Resource: '*' }
 * const document = { Version: '2012-10-17', Statement: [statement] }
 * const statements = readPolicyDocument(document, (at, problem) => console.error(at, problem))
 * const arn = 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/orders_app'
 * console.log(decide(statements, arn).allowed) // true
 * ```
 * @module middy-rds-iam/policy
 */
export type { ConditionTest } from './policy-condition.ts'
export { decide, describeDecision, type PolicyDecision, type PolicyDependence } from './policy-decision.ts'
export {
  connectAction,
  type PolicyElement,
  type PolicyStatement,
  type PolicyText,
  type ReportPolicyProblem,
  readPolicyDocument,
} from './policy-document.ts'
