import { isIP } from 'node:net'

/** A database's address: the host name in lower case, as tokens are signed for it, and the TCP port. */
export interface Endpoint {
  /** For example `orders.c1x2.eu-west-1.rds.amazonaws.com`. */
  readonly host: string
  /** For example `5432`. */
  readonly port: number
}

/** What is wrong with a host name, and what to do, as a clause to put behind the name of the option; or nothing. */
export type HostProblem = string | undefined

// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Concepts.RegionsAndAvailabilityZones.html
// In the China Regions, the order of the labels differs: `….rds.cn-north-1.amazonaws.com.cn`.
const regionInName = /\.([a-z]{2}(?:-[a-z]+)+-\d)\.rds\.amazonaws\.com(?:\.cn)?$/
const regionInChinaName = /\.rds\.(cn-[a-z]+-\d)\.amazonaws\.com\.cn$/
const regionShape = /^[a-z]{2}(?:-[a-z]+)+-\d$/

// Aurora DSQL has endpoints, a service name and a token of its own.
// https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html
const dsqlName = /\.dsql(?:-[a-z0-9]+)?\.[a-z0-9-]+\.on\.aws$/

/**
 * The Region that an RDS endpoint's name tells, or nothing for another name.
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

/** Whether the host is an IP address, which no certificate of RDS and no token names. */
export function isIpAddress(host: string): boolean {
  return isIP(host) !== 0
}

/**
 * Says what is wrong with a host given as an option.
 *
 * @example `hostProblem('postgres://db:5432')` is `'has a scheme ("postgres://"); give the host name alone'`
 */
export function hostProblem(host: string): HostProblem {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(host)?.[0]
  if (scheme !== undefined) return `has a scheme ("${scheme}"); give the host name alone`
  if (isIpAddress(host)) return undefined
  if (host.startsWith('/')) return 'is a Unix socket; RDS is reached over TCP: give a host name'
  if (/:\d+$/.test(host)) return 'has a port in it; give it as `port`'
  if (dsqlName.test(host.toLowerCase())) {
    return 'is an Aurora DSQL endpoint, another service with tokens of its own; use the package @aws/aurora-dsql-node-postgres-connector'
  }
  if (
    host.length > 253 ||
    !/^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i.test(host)
  ) {
    return 'is not a host name'
  }
  return undefined
}
