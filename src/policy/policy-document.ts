import { arnProblem } from './policy-arn.ts'
import { type ConditionTest, readCondition } from './policy-condition.ts'
import { describe, isRecord } from './policy-values.ts'

/**
 * The action that an authentication token is for.
 *
 * @example console.log(connectAction) // rds-db:connect
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export const connectAction = 'rds-db:connect'

/**
 * A text of a policy, and where it stands: `.Statement[0].Resource[1]`.
 *
 * @example { at: '.Statement[0].Action', text: 'rds-db:connect' }
 */
export interface PolicyText {
  /** Where it stands, for example `.Statement[0].Resource[1]`. */
  readonly at: string
  /** The text, for example `rds-db:connect`. */
  readonly text: string
}

/**
 * The actions or the resources of a statement. With `Not…`, the statement is about all but these.
 *
 * @example { negated: false, texts: [{ at: '.Statement[0].Action', text: 'rds-db:connect' }] }
 */
export interface PolicyElement {
  /** Whether it is `NotAction` or `NotResource`. */
  readonly negated: boolean
  /** All that is named. */
  readonly texts: readonly PolicyText[]
}

/**
 * A statement as it was read. A malformed part was reported, and is empty here.
 *
 * @example
 * ```ts
 * {
 *   at: '.Statement[0]', name: 'statement 1', effect: 'Allow',
 *   actions: { negated: false, texts: [{ at: '.Statement[0].Action', text: 'rds-db:connect' }] },
 *   resources: { negated: false, texts: [{ at: '.Statement[0].Resource', text: '*' }] },
 *   conditions: [], hasVariables: true,
 * }
 * ```
 */
export interface PolicyStatement {
  /** For example `.Statement[0]`. */
  readonly at: string
  /** For messages: `statement 1`, or `statement "AllowOrders"` where it has a Sid. */
  readonly name: string
  /** `undefined` where it is neither, which was reported. */
  readonly effect: 'Allow' | 'Deny' | undefined
  /** What it is about. */
  readonly actions: PolicyElement
  /** The ARNs that it is about. */
  readonly resources: PolicyElement
  /** What has to hold for the statement to count; empty if it always does. */
  readonly conditions: readonly ConditionTest[]
  /** Whether policy variables are what they are, as in the Version "2012-10-17" alone. */
  readonly hasVariables: boolean
}

/**
 * Called for each problem with a document: its place, which is empty for the document as a whole, and a
 * clause.
 *
 * @example (at, problem) => console.error(`${at} ${problem}`)
 */
export type ReportPolicyProblem = (at: string, problem: string) => void

const versions = ['2012-10-17', '2008-10-17']
const documentKeys = ['Version', 'Id', 'Statement']
const statementKeys = ['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition']
/**
 * Characters that IAM takes in a role's inline policies together, and in a managed policy. It does not count
 * white space.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
 */
export const sizeLimits = { inline: 10_240, managed: 6_144 } as const
const nothing: PolicyElement = { negated: false, texts: [] }

/**
 * Reads an identity-based policy, and reports everything that IAM would reject.
 *
 * @param partition That of a Region which is not known here, if somebody says so.
 * @example
 * ```ts
 * readPolicyDocument({ Statement: [] }, (at, problem) => console.error(at, problem))
 * // .Statement must have a statement, got []
 * ```
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 */
export function readPolicyDocument(
  document: unknown,
  report: ReportPolicyProblem,
  partition?: string,
): PolicyStatement[] {
  if (!isRecord(document)) {
    report('', `must be an object with Version and Statement, got ${describe(document)}`)
    return []
  }
  for (const key of Object.keys(document).filter(key => !documentKeys.includes(key)))
    report('', `has an unknown element ${key}`)
  const version = document.Version
  if (version !== undefined && !versions.includes(version as string))
    report('.Version', `must be "2012-10-17", got ${describe(version)}`)
  if (document.Id !== undefined && typeof document.Id !== 'string')
    report('.Id', `must be a text, got ${describe(document.Id)}`)
  const size = sizeOf(document)
  if (size > sizeLimits.inline)
    report('', `has ${size} characters; IAM takes ${sizeLimits.managed} at most, ${sizeLimits.inline} inline`)
  const isList = Array.isArray(document.Statement)
  const given: unknown[] = isList ? [...(document.Statement as unknown[])] : [document.Statement]
  if (given.length === 0) report('.Statement', 'must have a statement, got []')
  const rules = { report, partition, hasVariables: version === '2012-10-17' }
  const statements = given.map((statement, index) =>
    readStatement(statement, `statement ${index + 1}`, isList ? `.Statement[${index}]` : '.Statement', rules),
  )
  const names = statements.map(({ name }) => name)
  for (const [index, { at, name }] of statements.entries())
    if (names.indexOf(name) < index) report(`${at}.Sid`, `is another statement's too: ${name}`)
  return statements
}

/** How many characters of a policy IAM counts. */
export function sizeOf(document: unknown): number {
  try {
    return JSON.stringify(document).replace(/\s/g, '').length
  } catch {
    return 0
  }
}

interface ReadingRules {
  readonly report: ReportPolicyProblem
  readonly partition: string | undefined
  readonly hasVariables: boolean
}

function readStatement(
  statement: unknown,
  number: string,
  at: string,
  { report, partition, hasVariables }: ReadingRules,
): PolicyStatement {
  if (!isRecord(statement)) {
    report(at, `must be an object, got ${describe(statement)}`)
    const empty = { actions: nothing, resources: nothing, conditions: [], hasVariables }
    return { at, name: number, effect: undefined, ...empty }
  }
  for (const key of Object.keys(statement).filter(key => !statementKeys.includes(key)))
    report(`${at}.${key}`, 'is not an element of a statement in an identity-based policy')
  const { Sid: sid, Effect: effect } = statement
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
  if (sid !== undefined && !(typeof sid === 'string' && /^[A-Za-z0-9]*$/.test(sid)))
    report(`${at}.Sid`, `must be letters and digits, got ${describe(sid)}`)
  if (effect !== 'Allow' && effect !== 'Deny')
    report(`${at}.Effect`, `must be "Allow" or "Deny", got ${describe(effect)}`)
  const conditions = readCondition(statement.Condition, `${at}.Condition`, report)
  const actions = readElement(statement, 'Action', at, report)
  const resources = readElement(statement, 'Resource', at, report)
  for (const { at, text } of actions.texts) {
    if (text !== '*' && !/^[\w.*?-]+:[\w*?-]+$/.test(text))
      report(at, `the action ${describe(text)} must have the form "service:action", or be "*"`)
    else if (!/^\*(?::|$)/.test(text) && /[*?_].*:/.test(text))
      report(at, `the service of the action ${describe(text)} must be written out, without a wildcard`)
  }
  for (const { at, text } of resources.texts) {
    const problem = arnProblem(text, partition)
    if (problem !== undefined) report(at, problem)
  }
  return {
    at,
    name: typeof sid === 'string' && sid !== '' ? `statement ${describe(sid)}` : number,
    effect: effect === 'Allow' || effect === 'Deny' ? effect : undefined,
    actions,
    resources,
    conditions,
    hasVariables,
  }
}

function readElement(
  statement: Readonly<Record<string, unknown>>,
  element: 'Action' | 'Resource',
  at: string,
  report: ReportPolicyProblem,
): PolicyElement {
  const negated = statement[`Not${element}`] !== undefined
  if (negated === (statement[element] !== undefined)) {
    report(at, `must have either ${element} or Not${element}`)
    return nothing
  }
  const place = `${at}.${negated ? 'Not' : ''}${element}`
  const value = negated ? statement[`Not${element}`] : statement[element]
  // A copy fills the holes of a list, so that they are reported.
  const texts: unknown[] = Array.isArray(value) ? [...value] : [value]
  if (texts.length === 0 || !texts.every(text => typeof text === 'string')) {
    report(place, `must be a text or a list of texts, got ${describe(value)}`)
    return nothing
  }
  const placeOf = (index: number) => (Array.isArray(value) ? `${place}[${index}]` : place)
  return {
    negated,
    texts: (texts as string[]).map((text, index) => ({ at: placeOf(index), text })),
  }
}
