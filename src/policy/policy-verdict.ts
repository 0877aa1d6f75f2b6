import { formatConnectArn } from '../identifiers/arn.ts'
import { isRegionName, partitionOf } from '../identifiers/region.ts'
import {
  connectAction,
  coversConnect,
  decide,
  describe,
  matches,
  type PolicyDecision,
  type PolicyStatement,
} from './policy-document.ts'
import { hasUnsupportedKey, policyVariable } from './policy-mistakes.ts'
import { isForConnecting, resourceMistakes, splitResource } from './policy-resource.ts'

/** Who wants to connect where, as far as it is known. */
export interface Question {
  readonly resourceId: string
  readonly user: string
  readonly region?: string | undefined
  readonly accountId?: string | undefined
}

/** A decision, and what it is about. */
export interface Verdict {
  readonly decision: PolicyDecision
  readonly arn: string
  /** What was not asked for and is taken from the policy, `the Region eu-west-1` for example. */
  readonly assumed: string
  /** What is denied in another Region or account, where none was asked for. */
  readonly denied: { readonly statement: PolicyStatement; readonly arn: string } | undefined
}

/** Why a statement does not let the user in. */
export interface Obstacle {
  readonly statement: PolicyStatement
  readonly at: string
  readonly message: string
}

/**
 * Decides, as far as that is possible without a request: a policy variable may stand for anything, and a Deny under a condition is
 * left out. Where the Region or the account is not known, one that the statements name is taken, if it lets
 * the user in.
 */
export function decideFor(statements: readonly PolicyStatement[], question: Question): Verdict {
  const original = new Map(
    statements.filter(isEvaluated).map(statement => [takeVariablesForAnything(statement), statement]),
  )
  const evaluated = [...original.keys()]
  const { resourceId, user } = question
  const verdicts = placesOf(evaluated, question).map(({ assumed, ...place }) => {
    const arn = formatConnectArn({ ...place, resourceId, user })
    const { allowed, statement } = decide(evaluated, arn)
    return { allowed, statement: statement && original.get(statement), arn, assumed }
  })
  const refused = verdicts.find(({ allowed, statement }) => !allowed && statement !== undefined)
  const chosen = verdicts.find(({ allowed }) => allowed) ?? refused ?? verdicts[0]
  const { allowed = false, statement, arn = '', assumed = '' } = chosen ?? {}
  const denied =
    allowed && refused?.statement ? { statement: refused.statement, arn: refused.arn } : undefined
  return { decision: { allowed, statement }, arn, assumed, denied }
}

/** Says of each statement that decided against the user, or could have let the user in, why it does not. */
export function explainRefusal(
  statements: readonly PolicyStatement[],
  decision: PolicyDecision,
  arn: string,
  question: Question,
): Obstacle[] {
  const denying = decision.statement
  const allowing = statements.filter(({ effect }) => effect === 'Allow')
  const explanations = decideFor(allowing, question).decision.allowed
    ? []
    : allowing.flatMap(statement =>
        whyNot(statement, arn, question).map(({ at, message }) => ({ statement, at, message })),
      )
  if (denying === undefined) return explanations
  const message = `denies ${connectAction} on ${arn}; a Deny wins over every Allow`
  return [{ statement: denying, at: denying.at, message }, ...explanations]
}

/** A condition that can never be told to hold allows nothing; one of a Deny may hold or not. */
function isEvaluated(statement: PolicyStatement): boolean {
  if (statement.condition === undefined) return true
  return statement.effect === 'Allow' && !hasUnsupportedKey(statement)
}

function takeVariablesForAnything(statement: PolicyStatement): PolicyStatement {
  const { effect, resources } = statement
  if (effect !== 'Allow' || resources.negated) return { ...statement }
  const texts = resources.texts.map(({ at, text }) => ({ at, text: text.replace(policyVariable, '*') }))
  return { ...statement, resources: { ...resources, texts } }
}

interface Place {
  readonly partition: string
  readonly region: string
  readonly accountId: string
  readonly assumed: string
}

/** Where the database may be: where it was said to be, or where a resource says. */
function placesOf(statements: readonly PolicyStatement[], { region, accountId }: Question): Place[] {
  const somewhere = placeOf({ region, accountId }, { partition: '', region: '', accountId: '' })
  if (region !== undefined && accountId !== undefined) return [somewhere]
  const texts = statements.filter(coversConnect).flatMap(({ resources }) => resources.texts)
  return [somewhere, ...texts.map(({ text }) => placeOf({ region, accountId }, splitResource(text)))]
}

function placeOf(
  known: Pick<Question, 'region' | 'accountId'>,
  named: { readonly partition: string; readonly region: string; readonly accountId: string },
): Place {
  const region = known.region ?? (instance(named.region) || '<region>')
  const accountId = known.accountId ?? (instance(named.accountId) || '<account>')
  // Only a Region that is not known leaves the partition open.
  const partition = isRegionName(region) ? '' : instance(named.partition)
  const isLiteral = (text: string) => text !== '' && !/[*?]/.test(text)
  const assumed = [
    ...(known.region === undefined && isLiteral(named.region) ? [`the Region ${region}`] : []),
    ...(known.accountId === undefined && isLiteral(named.accountId) ? [`the account ${accountId}`] : []),
  ]
  return { partition: partition || partitionOf(region), region, accountId, assumed: assumed.join(' and ') }
}

/** A text that a pattern fits. */
function instance(pattern: string): string {
  return pattern.replaceAll('*', '').replaceAll('?', '0')
}

function whyNot(
  statement: PolicyStatement,
  arn: string,
  question: Question,
): { at: string; message: string }[] {
  const { at, name, actions, resources } = statement
  if (!coversConnect(statement)) {
    if (actions.negated)
      return [{ at: `${at}.NotAction`, message: `leaves ${connectAction} out of what ${name} allows` }]
    // With a resource for connecting, that is a mistake, and was found as one.
    if (resources.texts.some(({ text }) => isForConnecting(text))) return []
    return actions.texts
      .filter(({ text }) => /^rds:.*\*$/i.test(text))
      .map(({ at, text }) => ({
        at,
        message: `${describe(text)} does not cover ${connectAction}, of another service`,
      }))
  }
  if (resources.negated)
    return [{ at: `${at}.NotResource`, message: `leaves ${arn} out of what ${name} allows` }]
  return resources.texts.flatMap(({ at, text }) => {
    const differences = resourceMistakes(text).length === 0 ? differencesOf(text, question) : []
    return differences.length === 0 ? [] : [{ at, message: `is for ${differences.join('; ')}` }]
  })
}

/** In what an ARN of `rds-db`, right in itself, names something else than was asked for. */
function differencesOf(text: string, question: Question): string[] {
  const named = splitResource(text)
  const differs = (pattern: string, wanted: string | undefined): wanted is string =>
    wanted !== undefined && !matches(pattern, wanted)
  const differences: string[] = []
  if (differs(named.region, question.region))
    differences.push(`the Region ${named.region}, not ${question.region}`)
  if (differs(named.accountId, question.accountId))
    differences.push(`the account ${named.accountId}, not ${question.accountId}`)
  if (differs(named.resourceId, question.resourceId))
    differences.push(`the database ${named.resourceId}, not ${question.resourceId}`)
  const { user } = named
  if (user !== undefined && differs(user, question.user)) {
    const isCase = user.toLowerCase() === question.user.toLowerCase()
    const hint = isCase ? '; upper and lower case differ' : ''
    differences.push(`the user ${describe(user)}, not ${describe(question.user)}${hint}`)
  }
  return differences
}
