/** A part of AWS with accounts, names and authorities of its own. */
interface Partition {
  /** As ARNs have it, for example `aws-cn`. */
  readonly name: string
  /** What the names of its Regions look like. */
  readonly regions: RegExp
  /** What its host names end with, for example `amazonaws.com.cn`. */
  readonly urlSuffix: string
  /** Where the certificate authorities of RDS are, if that is documented. */
  readonly trustStore?: string
}

// As `partitions.json` of the AWS SDKs has them.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
const partitions: readonly Partition[] = [
  {
    name: 'aws-cn',
    regions: /^cn-/,
    urlSuffix: 'amazonaws.com.cn',
    trustStore: 'https://rds-truststore.s3.cn-north-1.amazonaws.com.cn',
  },
  {
    name: 'aws-us-gov',
    regions: /^us-gov-/,
    urlSuffix: 'amazonaws.com',
    trustStore: 'https://truststore.pki.us-gov-west-1.rds.amazonaws.com',
  },
  { name: 'aws-eusc', regions: /^eusc-/, urlSuffix: 'amazonaws.eu' },
  { name: 'aws-iso', regions: /^us-iso-/, urlSuffix: 'c2s.ic.gov' },
  { name: 'aws-iso-b', regions: /^us-isob-/, urlSuffix: 'sc2s.sgov.gov' },
  { name: 'aws-iso-e', regions: /^eu-isoe-/, urlSuffix: 'cloud.adc-e.uk' },
  { name: 'aws-iso-f', regions: /^us-isof-/, urlSuffix: 'csp.hci.ic.gov' },
  {
    name: 'aws',
    regions: /^(?:us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d/,
    urlSuffix: 'amazonaws.com',
    trustStore: 'https://truststore.pki.rds.amazonaws.com',
  },
]

/** The partitions that are known by name. */
export const partitionNames: readonly string[] = partitions.map(({ name }) => name)

const region = '[a-z]{2,4}(?:-[a-z]+)+-\\d{1,2}'
const suffix = [...new Set(partitions.map(({ urlSuffix }) => urlSuffix))].join('|').replaceAll('.', '\\.')
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.RegionsAndAvailabilityZones.html
// In China, GovCloud and the isolated Regions, the order of the labels may differ:
// `….rds.cn-north-1.amazonaws.com.cn`.
const regionInName = new RegExp(`\\.(?:(${region})\\.rds|rds\\.(${region}))\\.(?:${suffix})$`)
const globalName = new RegExp(`\\.global-[^.]+\\.global\\.rds\\.(?:${suffix})$`)
const regionShape = new RegExp(`^${region}$`)

/**
 * Reads the Region from the name of an RDS endpoint; `undefined` for any other name.
 *
 * @example regionOfHost('orders.c1x2.eu-west-1.rds.amazonaws.com') // 'eu-west-1'
 */
export function regionOfHost(host: string): string | undefined {
  const [, before, behind] = regionInName.exec(host) ?? []
  return before ?? behind
}

/**
 * Whether a host is the writer endpoint of an Aurora global database, for example
 * `orders.global-c1x2.global.rds.amazonaws.com`. It leads to the writer, whose Region it does not name.
 *
 * @example isGlobalEndpoint('orders.global-c1x2.global.rds.amazonaws.com') // true
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-connecting.html
 */
export function isGlobalEndpoint(host: string): boolean {
  return globalName.test(host)
}

/** Whether a host is an endpoint of RDS, by its name. */
export function isRdsHost(host: string): boolean {
  return regionOfHost(host) !== undefined || isGlobalEndpoint(host)
}

/**
 * Whether a text has the form of a Region's name, `eu-west-1` for example.
 *
 * @example isRegionName('eu-west-1') // true
 */
export function isRegionName(text: string): boolean {
  return regionShape.test(text)
}

/**
 * The partition that a Region's name tells; `undefined` for a Region that AWS may open one day.
 *
 * @example knownPartitionOf('cn-north-1') // 'aws-cn'
 */
export function knownPartitionOf(region: string): string | undefined {
  return findPartition(region)?.name
}

/**
 * The partition that a Region belongs to, for ARNs: `aws` where its name does not tell it.
 *
 * @example partitionOf('us-gov-west-1') // 'aws-us-gov'
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
 */
export function partitionOf(region: string): string {
  return knownPartitionOf(region) ?? 'aws'
}

/**
 * What host names of a Region end with, `amazonaws.com` where its name does not tell it.
 *
 * @example urlSuffixOf('cn-north-1') // 'amazonaws.com.cn'
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
 */
export function urlSuffixOf(region: string): string {
  return findPartition(region)?.urlSuffix ?? 'amazonaws.com'
}

/**
 * Where the certificate authorities of Amazon RDS for a Region are, as words to put behind "the text of": an
 * address, where AWS documents one.
 *
 * @example
 * ```ts
 * caBundleOf('eu-west-1')
 * // 'https://truststore.pki.rds.amazonaws.com/eu-west-1/eu-west-1-bundle.pem'
 * ```
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html#UsingWithRDS.SSL.CertificatesAllRegions
 */
export function caBundleOf(region: string): string {
  const store = findPartition(region)?.trustStore
  return store === undefined
    ? `the certificate bundle that the documentation of RDS in ${region} names (Using SSL/TLS)`
    : `${store}/${region}/${region}-bundle.pem`
}

function findPartition(region: string): Partition | undefined {
  return partitions.find(({ regions }) => regions.test(region))
}

/**
 * Says what is wrong with the name of a Region, as a clause; `undefined` if it is right.
 *
 * @example regionProblem('Ireland') // 'is not the name of a Region, such as eu-west-1'
 */
export function regionProblem(value: unknown): string | undefined {
  if (value === undefined) return "is missing; give the database's Region, such as eu-west-1"
  return typeof value === 'string' && isRegionName(value)
    ? undefined
    : 'is not the name of a Region, such as eu-west-1'
}

/**
 * Says what is wrong with the partition that is given for a Region, as a clause; `undefined` if it is right.
 * One that is not known here is right for a Region that is not known either.
 *
 * @example partitionProblem('aws', 'cn-north-1') // 'is not that of cn-north-1, aws-cn; leave it out'
 */
export function partitionProblem(value: unknown, region: unknown): string | undefined {
  if (typeof value !== 'string' || !/^aws(?:-[a-z]+)*$/.test(value))
    return 'is not the name of a partition, such as aws or aws-cn'
  const own = typeof region === 'string' ? knownPartitionOf(region) : undefined
  return own === undefined || own === value ? undefined : `is not that of ${region}, ${own}; leave it out`
}
