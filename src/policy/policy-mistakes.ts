import { arnProblem } from './policy-arn.ts'
import { coversConnect } from './policy-decision.ts'
import { connectAction, type PolicyStatement } from './policy-document.ts'
import { findUnresolved, variablesOf } from './policy-pattern.ts'
import { isForConnecting, resourceMistakes, splitResource, unknownRegionOf } from './policy-resource.ts'
import { sessionOfRole, unsupportedKeys } from './policy-session.ts'
import { describe } from './policy-values.ts'

/** Called with what was found and its place. */
export interface FindingSink {
  /** What is wrong. */
  problem(at: string, message: string): void
  /** What the policy does not tell. */
  note(at: string, message: string): void
}

/**
 * A placeholder of CloudFormation's `Fn::Sub`, for example `${AWS::Region}` or `${Database.DbiResourceId}`.
 */
const placeholder = /\$\{(?:AWS::\w+|\w+(?:\.\w+)*)\}/

/**
 * Finds what is wrong with a statement for every user and every database.
 *
 * @param partition That of a Region which is not known here, if somebody says so.
 */
export function findMistakes(
  statement: PolicyStatement,
  partition: string | undefined,
  sink: FindingSink,
): void {
  findInActions(statement, sink)
  for (const { at, text } of resourcesForConnecting(statement)) {
    // That was reported while reading.
    if (arnProblem(text, partition) !== undefined) continue
    const [unresolved] = placeholder.exec(text) ?? []
    if (unresolved !== undefined) {
      sink.problem(at, `has ${unresolved} in it, which only Fn::Sub of CloudFormation puts a value for`)
      continue
    }
    for (const mistake of resourceMistakes(text, partition)) sink.problem(at, mistake)
    const unknown = partition === undefined ? unknownRegionOf(text) : undefined
    if (unknown !== undefined)
      sink.note(
        at,
        `the Region ${unknown} is not known here, so nobody has checked that its partition is right`,
      )
    findInVariables(statement, at, text, sink)
  }
  if (coversConnect(statement)) findInConditions(statement, sink)
}

function findInVariables(statement: PolicyStatement, at: string, text: string, sink: FindingSink): void {
  if (!statement.hasVariables) {
    if (variablesOf(text).length > 0)
      sink.problem(at, 'has a policy variable, which needs the Version "2012-10-17"')
    return
  }
  const missing = findUnresolved(text, sessionOfRole(text))
  if (missing === undefined) return
  const effect = statement.resources.negated ? 'AWS does not say what it then matches' : 'it matches nothing'
  sink.problem(at, `has ${missing.variable} in it, which ${missing.why}: ${effect}`)
}

function findInActions(statement: PolicyStatement, sink: FindingSink): void {
  for (const { at, text } of statement.actions.texts) {
    const [service = '', name = ''] = text.toLowerCase().split(':')
    const isRds = service === 'rds' && /\*$|^connect$/.test(name)
    if (service === 'rds-db' && name !== 'connect' && !/[*?]/.test(name)) {
      sink.problem(at, `${describe(text)} is no action; rds-db has ${connectAction} alone`)
    } else if (/^rds[-_]?db$/.test(service) && service !== 'rds-db') {
      sink.problem(at, `${describe(text)} is no action; write "${connectAction}"`)
    } else if (isRds && (name === 'connect' || (isOfConnecting(statement) && !coversConnect(statement)))) {
      const why = 'is of rds, the service that manages databases, and does not cover connecting'
      sink.problem(at, `${describe(text)} ${why}; write "${connectAction}"`)
    }
  }
}

function isOfConnecting({ resources }: PolicyStatement): boolean {
  return resources.texts.some(({ text }) => isForConnecting(text))
}

/**
 * The resources that are meant for connecting: their form says so, or the statement is about nothing else.
 */
function resourcesForConnecting(statement: PolicyStatement): PolicyStatement['resources']['texts'] {
  const { actions, resources } = statement
  const isAlone = !actions.negated && actions.texts.every(({ text }) => /^rds-db:|^rds:connect$/i.test(text))
  return resources.texts.filter(
    ({ text }) => isForConnecting(text) || (isAlone && splitResource(text).service === 'rds'),
  )
}

function findInConditions({ effect, conditions }: PolicyStatement, sink: FindingSink): void {
  for (const { at } of conditions.filter(({ key }) => unsupportedKeys.includes(key.toLowerCase()))) {
    const consequence = effect === 'Deny' ? 'denies nothing by it, or everything' : 'allows nothing by it'
    sink.problem(
      at,
      `is a condition key that IAM database authentication does not support: the statement ${consequence}`,
    )
  }
}
