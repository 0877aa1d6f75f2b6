/**
 * A database's address: the host name in lower case, as tokens are signed for it, and the TCP port.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
 */
export interface Endpoint {
  /** For example `orders.c1x2.eu-west-1.rds.amazonaws.com`. */
  readonly host: string
  /** For example `5432`. */
  readonly port: number
}

/**
 * What is wrong with a host and what to do, as a clause that follows the option's name; `undefined` if it is
 * right.
 *
 * @example 'is not a host name'
 */
export type HostProblem = string | undefined

// Aurora DSQL has endpoints, a service name and a token of its own.
// https://docs.aws.amazon.com/aurora-dsql/latest/userguide/SECTION_authentication-token.html
const dsqlName = /\.dsql(?:-[a-z0-9]+)?\.[a-z0-9-]+\.on\.aws$/

// The id behind `cluster-` is that of an account in a Region. Only reader and custom endpoints have another
// hyphen there: `cluster-ro-…` and `cluster-custom-…`. In the China Regions, the order of the labels differs.
// https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Overview.Endpoints.html
// https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-connecting.html
const writerName =
  /^[^.]+\.(?:cluster-[a-z0-9]+\.(?:[a-z0-9-]+\.rds|rds\.[a-z0-9-]+)|global-[a-z0-9]+\.global\.rds)\.amazonaws\.(?:com|com\.cn|eu)$/

/**
 * Whether a host is the endpoint that leads to the writer of a cluster, Aurora or Multi-AZ, or of an Aurora
 * global database.
 *
 * @example `isWriterEndpoint('orders.cluster-c1x2.eu-west-1.rds.amazonaws.com')` is `true`
 */
export function isWriterEndpoint(host: string): boolean {
  return writerName.test(host)
}

/**
 * Whether the host is an IP address, which no certificate of RDS and no token names.
 *
 * @example isIpAddress('10.0.3.7') // true
 */
export function isIpAddress(host: string): boolean {
  // Asked only about what may be one: Node's pattern for IPv6 takes 4 ms to compile, and node:net 3 to load.
  return /:|^[\d.]+$/.test(host) && process.getBuiltinModule('node:net').isIP(host) !== 0
}

/**
 * Says what is wrong with a host given as an option.
 *
 * @example hostProblem('postgres://db:5432') // 'has a scheme ("postgres://"); give the host name alone'
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

/**
 * Whether a host is an endpoint of RDS Proxy, by its name: `orders.proxy-c1x2.eu-west-1.rds.amazonaws.com`.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-endpoints.html
 */
export function isProxyEndpoint(host: string): boolean {
  return /^[^.]+(?:\.endpoint)?\.proxy-/.test(host)
}
