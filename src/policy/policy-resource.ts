import { accountProblem, resourceIdProblem } from '../identifiers/arn.ts'
import { isRegionName, partitionOf } from '../identifiers/region.ts'

/** The parts of an ARN of `rds-db`. A part may hold wildcards, and may be wrong. */
export interface ResourceParts {
  readonly partition: string
  readonly service: string
  readonly region: string
  readonly accountId: string
  /** Everything behind the account, for example `dbuser:db-ABCDEFGHIJKL01234/orders_app`. */
  readonly rest: string
  readonly resourceId: string
  /** `undefined` if there is no `/`. */
  readonly user: string | undefined
}

const partitions = ['aws', 'aws-cn', 'aws-us-gov']
const hasWildcard = (text: string): boolean => /[*?]|\$\{/.test(text)
const form = 'arn:aws:rds-db:<Region>:<account>:dbuser:<DbiResourceId>/<user>'

/** Splits an ARN into its parts. A part that is missing is empty. */
export function splitResource(text: string): ResourceParts {
  const [, partition = '', service = '', region = '', accountId = '', ...others] = text.split(':')
  const rest = others.join(':')
  const [, resourceId = '', user] = /^dbuser:([^/]*)(?:\/(.*))?$/s.exec(rest) ?? []
  return { partition, service, region, accountId, rest, resourceId, user }
}

/** Whether a resource was written for connecting to a database, rightly or wrongly. */
export function isForConnecting(text: string): boolean {
  return /^arn:[^:]*:rds[-_]?db:/i.test(text) || /:db-?user\b/i.test(text)
}

/** Finds the mistakes for which a resource that is meant for connecting can never name a database user. */
export function resourceMistakes(text: string): string[] {
  const mistakes: string[] = []
  const { partition, service, region, accountId, rest, resourceId, user } = splitResource(text)
  if (!hasWildcard(partition) && !partitions.includes(partition))
    mistakes.push(`the partition ${quote(partition)} does not exist; it is one of ${partitions.join(', ')}`)
  if (service !== 'rds-db' && !hasWildcard(service)) {
    const isCase = service.toLowerCase() === 'rds-db'
    const why = isCase
      ? 'an ARN is case-sensitive'
      : service === 'rds'
        ? 'rds is the service that manages databases'
        : 'connecting is a service of its own'
    mistakes.push(`the service must be "rds-db", got ${quote(service)}: ${why}`)
  }
  if (!hasWildcard(region)) {
    if (!isRegionName(region)) mistakes.push(`names no Region; got ${quote(region)}`)
    else if (partitions.includes(partition) && partition !== partitionOf(region))
      mistakes.push(`the Region ${region} is in the partition ${partitionOf(region)}, not ${partition}`)
  }
  if (!hasWildcard(accountId) && accountProblem(accountId) !== undefined)
    mistakes.push(`names no account of twelve digits; got ${quote(accountId)}`)
  if (!rest.startsWith('dbuser:')) {
    if (!/^(\*|db.*\*)/.test(rest))
      mistakes.push(`must go on with "dbuser:" behind the account, got ${quote(rest)}: ${form}`)
    return mistakes
  }
  if (!hasWildcard(resourceId)) {
    const problem = resourceIdProblem(resourceId)
    if (problem !== undefined) mistakes.push(`${quote(resourceId)} ${problem}`)
  }
  // A wildcard at the end matches the slash too.
  if (user === '' || (user === undefined && !resourceId.endsWith('*')))
    mistakes.push(`names no user; end it with "/" and the database user: ${form}`)
  return mistakes
}

function quote(text: string): string {
  return JSON.stringify(text)
}
