import { type Answer, both, either, negate } from './answer.ts'
import { completeArn } from './policy-arn.ts'
import { holds } from './policy-condition.ts'
import { connectAction, type PolicyElement, type PolicyStatement } from './policy-document.ts'
import { covers, findUncertain } from './policy-pattern.ts'
import { type Session, sessionOfRole } from './policy-session.ts'

/**
 * What the answer depends on, and in which statement.
 *
 * @example
 * ```ts
 * const [statement] = readPolicyDocument({}, () => {})
 * if (statement !== undefined) {
 *   const on = 'the condition StringEquals of aws:PrincipalTag/team'
 *   const dependence: PolicyDependence = { statement, on }
 * }
 * ```
 */
export interface PolicyDependence {
  /** The statement that may match and may not. */
  readonly statement: PolicyStatement
  /** For example `the policy variable ${aws:PrincipalTag/team}`. */
  readonly on: string
}

/**
 * Whether a database user may connect.
 *
 * @example { allowed: false, statement: undefined, dependsOn: [] }
 */
export interface PolicyDecision {
  /** `true` only if that is certain. */
  readonly allowed: boolean
  /** The statement that decided; `undefined` if none did. */
  readonly statement: PolicyStatement | undefined
  /** What only the request tells, if the answer depends on it; else empty. */
  readonly dependsOn: readonly PolicyDependence[]
}

/**
 * Decides as IAM does for the session of a role: a matching Deny wins, then a matching Allow, and without
 * either the answer is no. If a statement that would change the answer may match and may not, the answer
 * depends.
 *
 * @example
 * ```ts
 * const statement = { Effect: 'Allow', Action: connectAction, Resource: '*' }
 * const document = { Version: '2012-10-17', Statement: [statement] }
 * const statements = readPolicyDocument(document, (at, problem) => console.error(at, problem))
 * const arn = 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/orders_app'
 * console.log(decide(statements, arn).allowed) // true
 * ```
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
export function decide(statements: readonly PolicyStatement[], arn: string): PolicyDecision {
  const session = sessionOfRole(arn)
  const certain: PolicyStatement[] = []
  const open: (PolicyDependence & { readonly effect: PolicyStatement['effect'] })[] = []
  for (const statement of statements) {
    const answer = applies(statement, arn, session)
    if (answer === true) certain.push(statement)
    else if (answer !== false) for (const on of answer) open.push({ statement, on, effect: statement.effect })
  }
  const decided = (allowed: boolean, statement?: PolicyStatement) => ({ allowed, statement, dependsOn: [] })
  const denying = certain.find(({ effect }) => effect === 'Deny')
  if (denying !== undefined) return decided(false, denying)
  const allowing = certain.find(({ effect }) => effect === 'Allow')
  const mayDeny = open.filter(({ effect }) => effect === 'Deny')
  const mayAllow = allowing === undefined ? open.filter(({ effect }) => effect === 'Allow') : []
  if (allowing === undefined && mayAllow.length === 0) return decided(false)
  const dependsOn = [...mayAllow, ...mayDeny].map(({ statement, on }) => ({ statement, on }))
  return dependsOn.length === 0
    ? decided(true, allowing)
    : { allowed: false, statement: undefined, dependsOn }
}

/**
 * Says a decision in one sentence.
 *
 * @example
 * ```ts
 * const arn = 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/orders_app'
 * describeDecision(decide([], arn), arn) // 'no statement of the policy allows rds-db:connect on arn:aws:…'
 * ```
 */
export function describeDecision(decision: PolicyDecision, arn: string, policy = 'the policy'): string {
  const { allowed, statement, dependsOn } = decision
  if (dependsOn.length > 0) {
    const on = dependsOn.map(({ statement, on }) => `${on} in ${statement.name}`).join(', and on ')
    return `whether ${policy} allows ${connectAction} on ${arn} depends on ${on}`
  }
  if (statement === undefined) return `no statement of ${policy} allows ${connectAction} on ${arn}`
  return `${statement.name} of ${policy} ${allowed ? 'allows' : 'denies'} ${connectAction} on ${arn}`
}

/** Whether a statement is about `rds-db:connect`, whatever its resources. */
export function coversConnect({ actions }: PolicyStatement): boolean {
  // Actions are not case-sensitive, resources are.
  const isNamed = ({ text }: { readonly text: string }) =>
    covers(text, connectAction, { ignoreCase: true }) === true
  return actions.texts.some(isNamed) !== actions.negated
}

function applies(statement: PolicyStatement, arn: string, session: Session): Answer {
  if (!coversConnect(statement)) return false
  const { resources, conditions, hasVariables } = statement
  return both([
    isCovered(resources, arn, hasVariables ? session : undefined),
    holds(conditions, session, hasVariables),
  ])
}

function isCovered({ texts, negated }: PolicyElement, arn: string, session: Session | undefined): Answer {
  const answers = texts.map(({ text }): Answer => {
    const uncertain = negated && session !== undefined ? findUncertain(text, session) : undefined
    // All but nothing would be everything.
    if (uncertain !== undefined) return [`the policy variable ${uncertain}`]
    return covers(completeArn(text), arn, { session, arn: true })
  })
  return negated ? negate(either(answers)) : either(answers)
}
