/**
 * Reads IAM policies and decides by their statements, for tools that evaluate policies themselves. To have a
 * policy explained, use `checkPolicy` of `middy-rds-iam`.
 *
 * @module
 */
export {
  connectAction,
  coversConnect,
  decide,
  describe,
  describeDecision,
  matches,
  type PolicyDecision,
  type PolicyElement,
  type PolicyStatement,
  type PolicyText,
  type ReportPolicyProblem,
  readPolicyDocument,
} from './policy-document.ts'
