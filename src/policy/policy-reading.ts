/**
 * Reads IAM policies and decides by their statements, for tools that evaluate policies themselves. To have a
 * policy explained, use `checkPolicy` of `middy-rds-iam`.
 *
 * @module
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
