import { partitionOf } from './region.ts'

/**
 * What names a database user to IAM.
 *
 * @example
 * ```ts
 * {
 *   region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234', user: 'orders_app',
 * }
 * ```
 */
export interface ConnectResource {
  /** For example `aws`. @default the partition that the Region belongs to; `aws` where that is not known */
  readonly partition?: string | undefined
  /** The database's Region, for example `eu-west-1`. */
  readonly region: string
  /** The AWS account of the database, twelve digits. */
  readonly accountId: string
  /** The DbiResourceId, for example `db-ABCDEFGHIJKL01234`. */
  readonly resourceId: string
  /** The database user, case-sensitive. */
  readonly user: string
}

/**
 * Writes the ARN for `rds-db:connect`. It takes the parts as they are and checks none of them.
 *
 * @example
 * ```ts
 * const database = { region: 'eu-west-1', accountId: '123456789012', resourceId: 'db-ABCDEFGHIJKL01234' }
 * formatConnectArn({ ...database, user: 'orders_app' })
 * // 'arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ABCDEFGHIJKL01234/orders_app'
 * ```
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
 */
export function formatConnectArn(resource: ConnectResource): string {
  const { region, partition = partitionOf(region), accountId, resourceId, user } = resource
  return `arn:${partition}:rds-db:${region}:${accountId}:dbuser:${resourceId}/${user}`
}

/**
 * Says what is wrong with a DbiResourceId and what to do, as a clause; `undefined` if it is right.
 *
 * @example resourceIdProblem(undefined) // 'is missing; give the DbiResourceId of the database, …'
 */
export function resourceIdProblem(value: unknown): string | undefined {
  // The ids of instances and clusters are in capitals; the names that users choose for them never are.
  // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html
  if (typeof value === 'string' && /^(?:(?:db|cluster)-[A-Z0-9]+|prx-[A-Za-z0-9]+)$/.test(value))
    return undefined
  if (value === undefined)
    return 'is missing; give the DbiResourceId of the database, such as db-ABCDEFGHIJKL01234'
  if (typeof value !== 'string' || value === '') return `is not a resource id, such as db-ABCDEFGHIJKL01234`
  if (value.startsWith('arn:')) return 'is an ARN; give the DbiResourceId alone, such as db-ABCDEFGHIJKL01234'
  return (
    'is not a resource id (db-…, cluster-… or prx-…, in capitals), but perhaps the name of the database; its id is DbiResourceId ' +
    'in `aws rds describe-db-instances`, DbClusterResourceId in `aws rds describe-db-clusters`, or the end of DBProxyArn in ' +
    '`aws rds describe-db-proxies`'
  )
}

/**
 * Says what is wrong with an account's number, as a clause; `undefined` if it is right.
 *
 * @example accountProblem('1234') // 'is not the number of an AWS account, a text of twelve digits'
 */
export function accountProblem(value: unknown): string | undefined {
  if (typeof value === 'string' && /^\d{12}$/.test(value)) return undefined
  if (value === undefined) return 'is missing; give the number of the AWS account, twelve digits'
  return 'is not the number of an AWS account, a text of twelve digits'
}
