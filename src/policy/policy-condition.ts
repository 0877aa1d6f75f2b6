import { type Answer, both, either, negate } from './answer.ts'
import { covers, findUncertain } from './policy-pattern.ts'
import { type Session, unsupportedKeys } from './policy-session.ts'
import { describe, isRecord } from './policy-values.ts'

/**
 * One test of a condition block.
 *
 * @example
 * ```ts
 * {
 *   at: '.Statement[0].Condition.StringEquals.aws:PrincipalTag/team', operator: 'StringEquals',
 *   key: 'aws:PrincipalTag/team', values: ['orders'],
 * }
 * ```
 */
export interface ConditionTest {
  /** For example `.Statement[0].Condition.StringEquals.aws:PrincipalTag/team`. */
  readonly at: string
  /** As it is written, for example `ForAnyValue:StringLikeIfExists`. */
  readonly operator: string
  /** The condition key, for example `aws:PrincipalTag/team`. */
  readonly key: string
  /** What it is compared with, as texts. */
  readonly values: readonly string[]
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
const comparisons = [
  ...['StringEquals', 'StringNotEquals', 'StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase'],
  ...['StringLike', 'StringNotLike', 'Bool', 'BinaryEquals', 'IpAddress', 'NotIpAddress', 'Null'],
  ...['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'],
  ...['Numeric', 'Date'].flatMap(kind =>
    ['Equals', 'NotEquals', 'LessThan', 'LessThanEquals', 'GreaterThan', 'GreaterThanEquals'].map(
      name => `${kind}${name}`,
    ),
  ),
].map(name => name.toLowerCase())

/** The operator without what stands around it. Operators are not case-sensitive. */
function readOperator(operator: string) {
  const [, set, name = '', ifExists] =
    /^(?:(forallvalues|foranyvalue):)?(.*?)(ifexists)?$/.exec(operator.toLowerCase()) ?? []
  return { set, name, isOptional: ifExists !== undefined }
}

/** Reads a condition block, and reports what IAM would not take. */
export function readCondition(
  condition: unknown,
  at: string,
  report: (at: string, problem: string) => void,
): ConditionTest[] {
  if (condition === undefined) return []
  if (!isRecord(condition)) {
    report(at, `must be an object, got ${describe(condition)}`)
    return []
  }
  return Object.entries(condition).flatMap(([operator, tests]) => {
    const place = `${at}.${operator}`
    if (!isRecord(tests)) {
      report(place, `must be an object of condition keys and values, got ${describe(tests)}`)
      return []
    }
    // IAM lets an operator that does not exist pass where it tests nothing.
    if (!comparisons.includes(readOperator(operator).name) && Object.keys(tests).length > 0)
      report(place, `is not a condition operator`)
    return Object.entries(tests).map(([key, value]) => {
      const values: readonly unknown[] = Array.isArray(value) ? value : [value]
      if (!key.includes(':'))
        report(`${place}.${key}`, 'must have its service in front, as aws:PrincipalTag/team has')
      if (!values.every(item => ['string', 'number', 'boolean'].includes(typeof item)))
        report(`${place}.${key}`, `must be a text or a list of texts, got ${describe(value)}`)
      return { at: `${place}.${key}`, operator, key, values: values.map(String) }
    })
  })
}

/**
 * Whether a condition holds for a session; all of its tests have to.
 *
 * @param session Only the Version "2012-10-17" puts values for policy variables. Keys are looked up anyway.
 */
export function holds(tests: readonly ConditionTest[], session: Session, hasVariables: boolean): Answer {
  return both(tests.map(test => holdsOne(test, session, hasVariables ? session : undefined)))
}

/** Says why a test does not hold for a session, as a clause; `undefined` if it may. */
export function explainFailure(
  test: ConditionTest,
  session: Session,
  hasVariables: boolean,
): string | undefined {
  // What RDS does not support is reported as a mistake.
  if (unsupportedKeys.includes(test.key.toLowerCase())) return undefined
  if (holdsOne(test, session, hasVariables ? session : undefined) !== false) return undefined
  const found = session(test.key)
  if ('absent' in found) return `does not hold: ${test.key} is what ${found.absent}`
  return `does not hold: ${test.key} is ${'value' in found ? describe(found.value) : 'there'}`
}

function holdsOne(test: ConditionTest, session: Session, variables: Session | undefined): Answer {
  const { key, operator, values } = test
  const { set, name, isOptional } = readOperator(operator)
  const unknown = [`the condition ${operator} of ${key}`]
  const found = session(key)
  if ('shape' in found) return unknown
  const isNegated = name.includes('not')
  if ('absent' in found) {
    if (name === 'null') return either(values.map(value => value.toLowerCase() === 'true'))
    const isMet = isOptional || set === 'forallvalues' || (isNegated && set !== 'foranyvalue')
    // That RDS does not support a key, AWS says; that IAM then takes it for missing, it does not.
    return isMet && unsupportedKeys.includes(key.toLowerCase()) ? unknown : isMet
  }
  if (name === 'null') return either(values.map(value => value.toLowerCase() === 'false'))
  if (name !== 'bool' && !name.startsWith('string')) return unknown
  // Unlike nothing is everything.
  if (isNegated && variables && values.some(value => findUncertain(value, variables))) return unknown
  const rules = {
    session: variables,
    literal: !name.includes('like'),
    ignoreCase: name === 'bool' || name.endsWith('ignorecase'),
  }
  const isAmong = either(values.map(value => covers(value, found.value, rules)))
  return isNegated ? negate(isAmong) : isAmong
}
