import { connectAction, coversConnect, describe, type PolicyStatement } from './policy-document.ts'
import { isForConnecting, resourceMistakes, splitResource, unknownRegionOf } from './policy-resource.ts'

/** Called with what was found and its place. */
export interface FindingSink {
  /** What is wrong. */
  problem(at: string, message: string): void
  /** What the policy does not tell. */
  note(at: string, message: string): void
}

// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
const unsupportedKeys = ['Referer', 'SourceIp', 'SourceVpc', 'SourceVpce', 'UserAgent', 'VpcSourceIp'].map(
  key => `aws:${key}`.toLowerCase(),
)

/**
 * A policy variable, for example `${aws:username}`.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
 */
export const policyVariable = /\$\{(?:[*?$]|(?!AWS::)[\w-]+:[^}]*)\}/g

/**
 * A placeholder of CloudFormation's `Fn::Sub`, for example `${AWS::Region}` or `${Database.DbiResourceId}`.
 */
const placeholder = /\$\{(?:AWS::\w+|\w+(?:\.\w+)*)\}/

/**
 * Finds what is wrong with a statement for every user and every database.
 *
 * @param version The policy's version. Only `2012-10-17` has variables.
 * @param partition That of a Region which is not known here, if somebody says so.
 */
export function findMistakes(
  statement: PolicyStatement,
  version: unknown,
  partition: string | undefined,
  sink: FindingSink,
): void {
  findInActions(statement, sink)
  for (const { at, text } of resourcesForConnecting(statement)) {
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
    const hasVariable = text.search(policyVariable) >= 0
    if (hasVariable && version !== '2012-10-17')
      sink.problem(at, 'has a policy variable, which needs the Version "2012-10-17"')
    else if (hasVariable) sink.note(at, `depends on policy variables, which were not looked up: ${text}`)
  }
  if (coversConnect(statement)) findInCondition(statement, sink)
}

/** Whether a condition asks for something that RDS never tells IAM. */
export function hasUnsupportedKey({ condition }: PolicyStatement): boolean {
  return conditionKeys(condition).some(({ key }) => unsupportedKeys.includes(key.toLowerCase()))
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

function findInCondition(statement: PolicyStatement, sink: FindingSink): void {
  const keys = conditionKeys(statement.condition)
  for (const { at, key } of keys) {
    if (unsupportedKeys.includes(key.toLowerCase())) {
      const effect =
        statement.effect === 'Deny' ? 'denies nothing by it, or everything' : 'allows nothing by it'
      sink.problem(
        `${statement.at}${at}`,
        `is a condition key that IAM database authentication does not support: the statement ${effect}`,
      )
    }
  }
  if (keys.some(({ key }) => !unsupportedKeys.includes(key.toLowerCase())))
    sink.note(`${statement.at}.Condition`, 'is not evaluated: whether it holds depends on the request')
}

function conditionKeys(condition: PolicyStatement['condition']): { at: string; key: string }[] {
  return Object.entries(condition ?? {}).flatMap(([operator, tests]) =>
    Object.keys(typeof tests === 'object' && tests !== null ? tests : {}).map(key => ({
      at: `.Condition.${operator}.${key}`,
      key,
    })),
  )
}
