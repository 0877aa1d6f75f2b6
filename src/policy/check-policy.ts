import { accountProblem, resourceIdProblem } from '../identifiers/arn.ts'
import { partitionProblem, regionProblem } from '../identifiers/region.ts'
import { createChecks, got, refuseProblems } from '../options/checks.ts'
import { describeDecision } from './policy-decision.ts'
import {
  connectAction,
  type PolicyStatement,
  readPolicyDocument,
  sizeLimits,
  sizeOf,
} from './policy-document.ts'
import { findMistakes } from './policy-mistakes.ts'
import { decideFor, explainRefusal } from './policy-verdict.ts'

/**
 * The user and the database that a policy is checked for.
 *
 * @example { resourceId: 'db-ABCDEFGHIJKL01234', user: 'orders_app', region: 'eu-west-1' }
 */
export interface CheckPolicyOptions {
  /** The database's DbiResourceId, for example `db-ABCDEFGHIJKL01234`, `cluster-…` or `prx-…`. */
  readonly resourceId: string
  /** The database user, case-sensitive. */
  readonly user: string
  /** The database's Region, for example `eu-west-1`. @default whichever the policy names */
  readonly region?: string | undefined
  /**
   * The partition of AWS that the Region belongs to, for example `aws-cn`. It is needed only for a Region
   * that this package does not know yet.
   *
   * @default the one that the Region's name tells, else whichever the policy names
   */
  readonly partition?: string | undefined
  /** The AWS account of the database, twelve digits. @default whichever the policy names */
  readonly accountId?: string | undefined
}

/**
 * Something that `checkPolicy` found, and where.
 *
 * @example { policy: 0, at: '.Statement[0].Resource[0]', message: 'is for the user "a", not "orders_app"' }
 */
export interface PolicyFinding {
  /** The number of the policy, counted from 0. */
  readonly policy: number
  /** The place in the policy, for example `.Statement[0].Resource[1]`; empty for the policy as a whole. */
  readonly at: string
  /** What is wrong there and what to do. */
  readonly message: string
}

/**
 * What `checkPolicy` found out.
 *
 * @example
 * ```ts
 * import { checkPolicy } from 'middy-rds-iam'
 *
 * const question = { resourceId: 'db-ABCDEFGHIJKL01234', user: 'orders_app' }
 * const { allowed, detail }: PolicyCheck = checkPolicy({ Version: '2012-10-17', Statement: [] }, question)
 * console.log(allowed, detail)
 * ```
 */
export interface PolicyCheck {
  /** Whether the user may connect, as far as these policies decide. `false` if that depends on something. */
  readonly allowed: boolean
  /** One sentence that names the statement that decided and the ARN in question. */
  readonly detail: string
  /**
   * What the answer depends on and only the request tells: the tags of a role, for example. It is empty if
   * the answer is certain.
   */
  readonly dependsOn: readonly PolicyFinding[]
  /** What is wrong. It is never empty if the user may certainly not connect. */
  readonly problems: readonly PolicyFinding[]
  /** What else is worth knowing, for example that the Region was taken from the policy. */
  readonly notes: readonly PolicyFinding[]
}

const optionNames = ['resourceId', 'user', 'region', 'partition', 'accountId']

/**
 * Explains what is wrong with the policies of a role that is meant to connect to a database: what IAM would
 * reject, what can never match, and why this user is not let in.
 *
 * It sees these policies only. A permissions boundary, a service control policy or a session policy may still
 * deny.
 *
 * @param policies One identity-based policy as parsed JSON, or a list of all that a role has.
 * @example
 * ```ts
 * import { readFileSync } from 'node:fs'
 *
 * const policy = JSON.parse(readFileSync('policy.json', 'utf8'))
 * const question = { resourceId: 'db-ABCDEFGHIJKL01234', user: 'orders_app' }
 * const { allowed, problems } = checkPolicy(policy, question)
 * for (const { at, message } of problems) console.error(`${at} ${message}`)
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` if the options are wrong, naming every problem at once. What is
 * wrong with a policy is returned, not thrown.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export function checkPolicy(policies: unknown, options: CheckPolicyOptions): PolicyCheck {
  requireOptions(options)
  const documents: readonly unknown[] = Array.isArray(policies) ? policies : [policies]
  const problems: PolicyFinding[] = []
  const notes: PolicyFinding[] = []
  const policyOf = new Map<PolicyStatement, number>()
  for (const [policy, document] of documents.entries()) {
    const problem = (at: string, message: string) => void problems.push({ policy, at, message })
    const note = (at: string, message: string) => void notes.push({ policy, at, message })
    const statements = readPolicyDocument(document, problem, options.partition)
    for (const statement of statements) policyOf.set(statement, policy)
    if (statements.length === 0) continue
    if ((document as { Version?: unknown }).Version === undefined)
      note('.Version', 'is missing, which IAM takes for "2008-10-17"')
    const size = sizeOf(document)
    if (size > sizeLimits.managed && size <= sizeLimits.inline)
      note('', `has ${size} characters, too many for a managed policy (${sizeLimits.managed})`)
  }
  const isMalformed = problems.length > 0
  const statements = [...policyOf.keys()]
  for (const [statement, policy] of policyOf) {
    findMistakes(statement, options.partition, {
      problem: (at, message) => problems.push({ policy, at, message }),
      note: (at, message) => notes.push({ policy, at, message }),
    })
  }

  const { decision, arn, assumed, denied } = decideFor(statements, options)
  const decider = decision.statement && policyOf.get(decision.statement)
  const where =
    documents.length === 1 ? 'the policy' : decider === undefined ? 'the policies' : `policy ${decider + 1}`
  const detail = describeDecision(decision, arn, where)
  const dependsOn = decision.dependsOn.map(({ statement, on }) => ({
    policy: policyOf.get(statement) ?? 0,
    at: statement.at,
    message: `may ${statement.effect === 'Deny' ? 'deny' : 'allow'} it, depending on ${on}`,
  }))
  if (!decision.allowed && dependsOn.length === 0) {
    for (const { statement, at, message } of explainRefusal(statements, decision, arn, options))
      problems.push({ policy: policyOf.get(statement) ?? 0, at, message })
    if (problems.length === 0) problems.push({ policy: 0, at: '', message: detail })
  } else if (assumed !== '' && !isMalformed) {
    notes.push({
      policy: decider ?? 0,
      at: '',
      message: `for ${assumed}, as the policy says; give it to have it checked`,
    })
  }
  if (denied !== undefined) {
    const message = `denies ${connectAction} on ${denied.arn}; give the Region and the account to have the right one checked`
    notes.push({ policy: policyOf.get(denied.statement) ?? 0, at: denied.statement.at, message })
  }
  return isMalformed
    ? { allowed: false, detail: 'IAM does not take a malformed policy', dependsOn: [], problems, notes }
    : { allowed: decision.allowed, detail, dependsOn, problems, notes }
}

function requireOptions(options: CheckPolicyOptions): void {
  const checks = createChecks()
  const given =
    checks.object('options', options, '{ resourceId, user, region?, partition?, accountId? }') ?? {}
  checks.known(given, optionNames)
  const { resourceId, user, region, partition, accountId } = given
  const complain = (name: string, problem: string | undefined): void => {
    if (problem !== undefined) checks.complain(name, `${problem}${got(given[name])}`)
  }
  complain('resourceId', resourceIdProblem(resourceId))
  if (user === undefined) complain('user', 'is missing; give the name of the database user')
  else if (typeof user !== 'string' || user === '') complain('user', 'is not the name of a database user')
  if (region !== undefined) complain('region', regionProblem(region))
  if (partition !== undefined) complain('partition', partitionProblem(partition, region))
  if (accountId !== undefined) complain('accountId', accountProblem(accountId))
  refuseProblems('checkPolicy', checks.problems)
}
