import { formatConnectArn } from '../identifiers/arn.ts'
import { knownPartitionOf, partitionOf } from '../identifiers/region.ts'
import { arnProblem } from './policy-arn.ts'
import { explainFailure, holds } from './policy-condition.ts'
import { coversConnect, decide, type PolicyDecision } from './policy-decision.ts'
import { connectAction, type PolicyStatement } from './policy-document.ts'
import { covers, findUnresolved } from './policy-pattern.ts'
import { isForConnecting, resourceMistakes, splitResource } from './policy-resource.ts'
import { type Session, sessionOfRole } from './policy-session.ts'
import { describe } from './policy-values.ts'

/** The user and the database that a decision is asked for. Where the database is may be unknown. */
export interface Question {
  readonly resourceId: string
  readonly user: string
  readonly region?: string | undefined
  readonly partition?: string | undefined
  readonly accountId?: string | undefined
}

/** A decision, and the ARN that it is about. */
export interface Verdict {
  readonly decision: PolicyDecision
  readonly arn: string
  /** What the question left open and the policy says, for example `the Region eu-west-1`. */
  readonly assumed: string
  /** What is denied in another Region or account, if the question left them open. */
  readonly denied: { readonly statement: PolicyStatement; readonly arn: string } | undefined
}

/** Why a statement does not let the user in. */
export interface Obstacle {
  readonly statement: PolicyStatement
  readonly at: string
  readonly message: string
}

const noDecision: PolicyDecision = { allowed: false, statement: undefined, dependsOn: [] }

/**
 * Decides for the session of a role. If the Region or the account is not known, it takes one that the
 * statements name, and prefers one that lets the user in, then one where that depends on the request.
 */
export function decideFor(statements: readonly PolicyStatement[], question: Question): Verdict {
  const { resourceId, user } = question
  const verdicts = placesOf(statements, question).map(({ assumed, ...place }) => {
    const arn = formatConnectArn({ ...place, resourceId, user })
    return { decision: decide(statements, arn), arn, assumed }
  })
  const refused = verdicts.find(({ decision }) => !decision.allowed && decision.statement !== undefined)
  const allowed = verdicts.find(({ decision }) => decision.allowed)
  const open = verdicts.find(({ decision }) => decision.dependsOn.length > 0)
  const chosen = allowed ?? open ?? refused ?? verdicts[0]
  const { decision = noDecision, arn = '', assumed = '' } = chosen ?? {}
  const isOpen = decision.allowed || decision.dependsOn.length > 0
  const statement = isOpen ? refused?.decision.statement : undefined
  return { decision, arn, assumed, denied: statement && { statement, arn: refused?.arn ?? '' } }
}

/**
 * Explains for each statement that denies, and for each that could have allowed, why the user is not let in.
 */
export function explainRefusal(
  statements: readonly PolicyStatement[],
  decision: PolicyDecision,
  arn: string,
  question: Question,
): Obstacle[] {
  const denying = decision.statement
  const allowing = statements.filter(({ effect }) => effect === 'Allow')
  const { allowed, dependsOn } = decideFor(allowing, question).decision
  const explanations =
    allowed || dependsOn.length > 0
      ? []
      : allowing.flatMap(statement =>
          whyNot(statement, arn, question).map(({ at, message }) => ({ statement, at, message })),
        )
  if (denying === undefined) return explanations
  const message = `denies ${connectAction} on ${arn}; a Deny wins over every Allow`
  return [{ statement: denying, at: denying.at, message }, ...explanations]
}

interface Place {
  readonly partition: string
  readonly region: string
  readonly accountId: string
  readonly assumed: string
}

/** Where the database may be: in the place that the question names, or in those that the resources name. */
function placesOf(statements: readonly PolicyStatement[], question: Question): Place[] {
  const { region, partition, accountId } = question
  const somewhere = placeOf(question, { partition: '', region: '', accountId: '' })
  const isPartitionKnown = (partition ?? knownPartitionOf(region ?? '')) !== undefined
  if (isPartitionKnown && region !== undefined && accountId !== undefined) return [somewhere]
  const texts = statements.filter(coversConnect).flatMap(({ resources }) => resources.texts)
  return [somewhere, ...texts.map(({ text }) => placeOf(question, splitResource(text)))]
}

function placeOf(
  known: Pick<Question, 'region' | 'partition' | 'accountId'>,
  named: { readonly partition: string; readonly region: string; readonly accountId: string },
): Place {
  const region = known.region ?? (instance(named.region) || '<region>')
  const accountId = known.accountId ?? (instance(named.accountId) || '<account>')
  // The partition follows from the Region. It is open only if the Region is unknown.
  const told = knownPartitionOf(region) ?? known.partition
  const partition = told ?? (instance(named.partition) || partitionOf(region))
  const isLiteral = (text: string) => text !== '' && !/[*?]/.test(text)
  const assumed = [
    ...(known.region === undefined && isLiteral(named.region) ? [`the Region ${region}`] : []),
    ...(known.accountId === undefined && isLiteral(named.accountId) ? [`the account ${accountId}`] : []),
  ]
  return { partition, region, accountId, assumed: assumed.join(' and ') }
}

/** Makes a text that fits a pattern. */
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
    // With a resource for connecting, this is a mistake that was reported before.
    if (resources.texts.some(({ text }) => isForConnecting(text))) return []
    return actions.texts
      .filter(({ text }) => /^rds:.*\*$/i.test(text))
      .map(({ at, text }) => ({
        at,
        message: `${describe(text)} does not cover ${connectAction}, of another service`,
      }))
  }
  const session = sessionOfRole(arn)
  const { conditions, hasVariables } = statement
  if (holds(conditions, session, hasVariables) === false) {
    return conditions.flatMap(test => {
      const message = explainFailure(test, session, hasVariables)
      return message === undefined ? [] : [{ at: test.at, message }]
    })
  }
  if (resources.negated)
    return [{ at: `${at}.NotResource`, message: `leaves ${arn} out of what ${name} allows` }]
  return resources.texts.flatMap(({ at, text }) => {
    const variables = hasVariables ? session : undefined
    const isMistaken =
      arnProblem(text, question.partition) !== undefined ||
      resourceMistakes(text, question.partition).length > 0 ||
      (variables !== undefined && findUnresolved(text, variables) !== undefined)
    const differences = isMistaken ? [] : differencesOf(text, question, variables)
    return differences.length === 0 ? [] : [{ at, message: `is for ${differences.join('; ')}` }]
  })
}

/** Compares a valid ARN of `rds-db` with the question, and says where the two differ. */
function differencesOf(text: string, question: Question, session: Session | undefined): string[] {
  const named = splitResource(text)
  const differs = (pattern: string, wanted: string | undefined): wanted is string =>
    wanted !== undefined && covers(pattern, wanted, { session }) === false
  const differences: string[] = []
  if (differs(named.region, question.region))
    differences.push(`the Region ${named.region}, not ${question.region}`)
  if (differs(named.accountId, question.accountId))
    differences.push(`the account ${named.accountId}, not ${question.accountId}`)
  // An ARN that ends early, or with a star, names no database of its own.
  if (named.rest.startsWith('dbuser:') && differs(named.resourceId, question.resourceId))
    differences.push(`the database ${named.resourceId}, not ${question.resourceId}`)
  const { user } = named
  if (user !== undefined && differs(user, question.user)) {
    const isCase = user.toLowerCase() === question.user.toLowerCase()
    const hint = isCase ? '; upper and lower case differ' : ''
    differences.push(`the user ${describe(user)}, not ${describe(question.user)}${hint}`)
  }
  return differences
}
