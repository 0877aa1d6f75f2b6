import { accountProblem, formatConnectArn, resourceIdProblem } from '../identifiers/arn.ts'
import { partitionProblem, regionProblem } from '../identifiers/region.ts'
import { type Checks, createChecks, got, gotName, refuseProblems } from '../options/checks.ts'
import { connectAction } from './policy-document.ts'

/**
 * One user of one database, as IAM names it.
 *
 * @example
 * ```ts
 * { region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234', user: 'orders_app' }
 * ```
 */
export interface ConnectArnOptions {
  /** The database's Region, for example `eu-west-1`. */
  readonly region: string
  /**
   * The partition of AWS that the Region belongs to, for example `aws-cn`. It is needed only for a Region
   * that this package does not know yet.
   *
   * @default the one that the Region's name tells, else `aws`
   */
  readonly partition?: string | undefined
  /** The AWS account of the database, twelve digits. */
  readonly accountId: string
  /**
   * The database's DbiResourceId, for example `db-ABCDEFGHIJKL01234`; not the database's name. It begins with
   * `db-` for an instance, with `cluster-` for Aurora and with `prx-` for RDS Proxy. `'*'` stands for every
   * database of the account in the Region.
   */
  readonly resourceId: string
  /** The database user, case-sensitive; `'*'` for every user. */
  readonly user: string
}

/**
 * Databases and users. Each of the users may connect to each of the databases.
 *
 * @example
 * ```ts
 * {
 *   region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234',
 *   user: ['orders_app', 'orders_report'],
 * }
 * ```
 */
export interface ConnectPolicyOptions extends Omit<ConnectArnOptions, 'resourceId' | 'user'> {
  /** One or many, as for `connectArn`. */
  readonly resourceId: string | readonly string[]
  /** One or many, as for `connectArn`. */
  readonly user: string | readonly string[]
}

/**
 * An identity-based policy that allows `rds-db:connect`, ready for `JSON.stringify`.
 *
 * @example
 * ```ts
 * {
 *   Version: '2012-10-17',
 *   Statement: [{
 *     Effect: 'Allow',
 *     Action: 'rds-db:connect',
 *     Resource: ['arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/orders_app'],
 *   }],
 * }
 * ```
 */
export interface ConnectPolicy {
  /** The version of the language of policies. */
  readonly Version: '2012-10-17'
  /** One statement, which allows nothing but to connect. */
  readonly Statement: readonly {
    /** Always `Allow`. */
    readonly Effect: 'Allow'
    /** The action that an authentication token is for. */
    readonly Action: 'rds-db:connect'
    /** The ARNs of the users. */
    readonly Resource: readonly string[]
  }[]
}

/**
 * Writes the ARN that a role needs `rds-db:connect` on.
 *
 * @example
 * ```ts
 * const database = { region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234' }
 * connectArn({ ...database, user: 'orders_app' })
 * // 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/orders_app'
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once and what it got.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export function connectArn(options: ConnectArnOptions): string {
  const checks = createChecks()
  const given = readGiven(checks, '', options)
  checkConnect(checks, '', given)
  checkPart(checks, 'resourceId', given.resourceId, resourceIdProblem)
  checkPart(checks, 'user', given.user, userProblem)
  refuseProblems('connectArn', checks.problems)
  return formatConnectArn(options)
}

/**
 * Writes the policy for a role that may connect to these databases as these users and do nothing else.
 *
 * @param options One group of databases and users, or a list of them.
 * @example
 * ```ts
 * const database = { region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234' }
 * JSON.stringify(connectPolicy({ ...database, user: ['orders_app', 'orders_report'] }), null, 2)
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once and what it got.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export function connectPolicy(
  options: ConnectPolicyOptions | readonly ConnectPolicyOptions[],
): ConnectPolicy {
  const checks = createChecks()
  const isMany = Array.isArray(options)
  const groups: readonly ConnectPolicyOptions[] = isMany ? options : [options]
  if (groups.length === 0) checks.complain('options', 'is an empty list; give at least one database')
  for (const [index, group] of groups.entries()) {
    const at = isMany ? `[${index}].` : ''
    const given = readGiven(checks, at, group)
    checkConnect(checks, at, given)
    checkParts(checks, `${at}resourceId`, given.resourceId, resourceIdProblem)
    checkParts(checks, `${at}user`, given.user, userProblem)
  }
  refuseProblems('connectPolicy', checks.problems)
  const arns = groups.flatMap(group =>
    [group.resourceId]
      .flat()
      .flatMap(resourceId =>
        [group.user].flat().map(user => formatConnectArn({ ...group, resourceId, user })),
      ),
  )
  return {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: connectAction, Resource: [...new Set(arns)] }],
  }
}

type Given = { readonly [Name in keyof ConnectArnOptions]?: unknown }
const optionNames = ['region', 'partition', 'accountId', 'resourceId', 'user']

function readGiven(checks: Checks, at: string, options: unknown): Given {
  const form = '{ region, accountId, resourceId, user }'
  const given = checks.object(`${at}options`, options, form) ?? {}
  checks.known(given, optionNames, at)
  return given
}

function checkConnect(checks: Checks, at: string, { region, partition, accountId }: Given): void {
  const wrongRegion = regionProblem(region)
  if (wrongRegion !== undefined) checks.complain(`${at}region`, `${wrongRegion}${got(region)}`)
  const wrongPartition = partition === undefined ? undefined : partitionProblem(partition, region)
  if (wrongPartition !== undefined) checks.complain(`${at}partition`, `${wrongPartition}${got(partition)}`)
  const wrongAccount = accountProblem(accountId)
  if (wrongAccount !== undefined) checks.complain(`${at}accountId`, `${wrongAccount}${got(accountId)}`)
}

type Problem = (value: unknown) => string | undefined

function checkParts(checks: Checks, at: string, value: unknown, problemOf: Problem): void {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (parts.length === 0) checks.complain(at, 'is an empty list; give at least one')
  for (const [index, part] of parts.entries())
    checkPart(checks, Array.isArray(value) ? `${at}[${index}]` : at, part, problemOf)
}

function checkPart(checks: Checks, at: string, value: unknown, problemOf: Problem): void {
  const problem = value === '*' ? undefined : problemOf(value)
  if (problem !== undefined) checks.complain(at, `${problem}${gotName(value)}`)
}

/**
 * Says what is wrong with a user's name as a part of an ARN, in which some characters mean something to IAM.
 */
function userProblem(value: unknown): string | undefined {
  if (value === undefined) return 'is missing; give the name of the database user'
  if (typeof value !== 'string' || value === '') return 'is not the name of a database user'
  if (/[*?]/.test(value))
    return "has a wildcard in it, which would let other users in; name each user, or give '*' alone for every one"
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
  if (value.includes('$' + '{')) return 'has a policy variable in it, which IAM would put something else for'
  return value.includes('\0') ? 'has a NUL character in it, which no database takes' : undefined
}
