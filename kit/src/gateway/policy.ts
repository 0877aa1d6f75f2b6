import { formatConnectArn } from 'middy-rds-iam/identifiers'
import { decide, describeDecision, readPolicyDocument } from 'middy-rds-iam/policy'

/**
 * An IAM policy, and what database it is evaluated for.
 *
 * @example { document: { Version: '2012-10-17', Statement: [] }, resourceId: 'db-ABCDEFGHIJKL01234' }
 */
export interface GatewayPolicy {
  /** The identity-based policy, as parsed JSON: `{ Version: '2012-10-17', Statement: [...] }`. */
  readonly document: unknown
  /** The database's DbiResourceId, for example `db-ABCDEFGHIJKL01234`, `cluster-…` or `prx-…`. */
  readonly resourceId: string
  /** Twelve digits. @default '123456789012', the account that SAM CLI tells functions */
  readonly accountId?: string | undefined
  /**
   * The partition of AWS that the gateway's Region belongs to, for example `aws-cn`; needed only for a Region that
   * is not known yet. @default the one that the Region's name tells, else `aws`
   */
  readonly partition?: string | undefined
}

/**
 * Whether a database user may connect, and the sentence for the decision log. What depends on something that
 * only AWS knows is not allowed, and the sentence says what it depends on.
 */
export type PolicyEvaluation = { readonly allowed: boolean; readonly detail: string }

/**
 * Reads a policy once and gives a function that evaluates it for a user as IAM does for the session of a role.
 *
 * @param report Called with everything that is wrong with the document: where, `.Statement[0]` for example,
 * and what.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export function readPolicy(
  { document, resourceId, accountId = '123456789012', partition }: GatewayPolicy,
  region: string,
  report: (at: string, problem: string) => void,
): (user: string) => PolicyEvaluation {
  const statements = readPolicyDocument(document, report, partition)
  return user => {
    const arn = formatConnectArn({ partition, region, accountId, resourceId, user })
    const decision = decide(statements, arn)
    return { allowed: decision.allowed, detail: describeDecision(decision, arn) }
  }
}
