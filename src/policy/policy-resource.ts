import { accountProblem, resourceIdProblem } from '../identifiers/arn.ts'
import { isRegionName, knownPartitionOf } from '../identifiers/region.ts'
import { type ArnFields, splitArn } from './policy-arn.ts'

/** The parts of an ARN of `rds-db`. A part may hold wildcards, and may be wrong. */
export interface ResourceParts extends ArnFields {
  readonly resourceId: string
  /** `undefined` if there is no `/`. */
  readonly user: string | undefined
}

const hasWildcard = (text: string): boolean => /[*?]|\$\{/.test(text)
const form = 'arn:aws:rds-db:<Region>:<account>:dbuser:<DbiResourceId>/<user>'

/** Splits an ARN into its parts. A part that is not there is empty. */
export function splitResource(text: string): ResourceParts {
  const fields = splitArn(text)
  const [, resourceId = '', user] = /^dbuser:([^/]*)(?:\/(.*))?$/s.exec(fields.rest) ?? []
  return { ...fields, resourceId, user }
}

/** Whether a resource was written for connecting to a database, rightly or wrongly. */
export function isForConnecting(text: string): boolean {
  return /^arn:[^:]*:rds[-_]?db(?::|$)/i.test(text) || /:db-?user\b/i.test(text)
}

/** The Region that a resource names, where it is one that is not known here. */
export function unknownRegionOf(text: string): string | undefined {
  const { region } = splitResource(text)
  return isRegionName(region) && knownPartitionOf(region) === undefined ? region : undefined
}

/**
 * Finds the mistakes for which a resource that is meant for connecting can never name a database user.
 *
 * @param given The partition of a Region that is not known here, if somebody says so.
 */
export function resourceMistakes(text: string, given?: string): string[] {
  const mistakes: string[] = []
  const { partition, service, region, accountId, rest, resourceId, user } = splitResource(text)
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
    const own = knownPartitionOf(region) ?? given
    if (!isRegionName(region)) mistakes.push(`names no Region; got ${quote(region)}`)
    else if (!hasWildcard(partition) && own !== undefined && partition !== own)
      mistakes.push(`the Region ${region} is in the partition ${own}, not ${partition}`)
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
