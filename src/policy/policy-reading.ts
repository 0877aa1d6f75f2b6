/**
 * How an IAM policy is read and decided upon, one statement after the other, for tools that evaluate it themselves; `checkPolicy` of
 * `middy-rds-iam` explains one.
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
