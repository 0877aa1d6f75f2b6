// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.RegionsAndAvailabilityZones.html
// In the China Regions, the order of the labels differs: `….rds.cn-north-1.amazonaws.com.cn`.
const regionInName = /\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?$/
const regionInChinaName = /\.rds\.(cn-[a-z]+-\d)\.amazonaws\.com\.cn$/
const regionShape = /^[a-z]{2}(?:-[a-z]+)+-\d$/

/**
 * Reads the Region from the name of an RDS endpoint; `undefined` for any other name.
 *
 * @example `regionOfHost('orders.c1x2.eu-west-1.rds.amazonaws.com')` is `'eu-west-1'`
 */
export function regionOfHost(host: string): string | undefined {
  return (regionInName.exec(host) ?? regionInChinaName.exec(host))?.[1]
}

/** Whether a text has the form of a Region's name, `eu-west-1` for example. */
export function isRegionName(text: string): boolean {
  return regionShape.test(text)
}

/**
 * The partition that a Region belongs to, for ARNs.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
 */
export function partitionOf(region: string): 'aws' | 'aws-cn' | 'aws-us-gov' {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}

/** Says what is wrong with the name of a Region, as a clause; `undefined` if it is right. */
export function regionProblem(value: unknown): string | undefined {
  if (value === undefined) return "is missing; give the database's Region, such as eu-west-1"
  return typeof value === 'string' && isRegionName(value)
    ? undefined
    : 'is not the name of a Region, such as eu-west-1'
}
