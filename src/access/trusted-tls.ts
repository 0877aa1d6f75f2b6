import { isIpAddress } from '../identifiers/endpoint.ts'
import { followsWriter, readRegion } from '../options/address.ts'
import { readCa } from '../options/ca.ts'
import { createChecks, refuseProblems } from '../options/checks.ts'
import { caVariables, findCaFiles, readVariable } from '../options/environment.ts'
import type { TlsOptions } from '../options/options.ts'
import { type PlainTls, plainTls } from '../trust/plain-tls.ts'
import { createTrust } from '../trust/verified-tls.ts'

/**
 * Which server is to be verified.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com' }
 */
export interface TrustedTlsOptions {
  /** The RDS endpoint, for example `orders.c1x2.eu-west-1.rds.amazonaws.com`. */
  readonly host: string
  /**
   * The database's Region, for example `eu-west-1`.
   *
   * @default the Region in the endpoint's name, or any for a global database; else the environment variable
   * `AWS_REGION`
   */
  readonly region?: string | undefined
  /** Trust beyond Amazon's own certificate authorities. @default none */
  readonly tls?: TlsOptions | undefined
}

/**
 * TLS options that verify an RDS endpoint, its chain and its name, for a driver that takes options of
 * `tls.connect`. Together with `createTokenSource`, they are what a driver needs that nobody foresaw; the
 * driver decides whether it uses them, so look that it does.
 *
 * @example
 * ```ts
 * const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
 * const ssl = await trustedTls({ host }) // { ca: ['-----BEGIN…', …], rejectUnauthorized: true, servername: host, … }
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where an option is wrong; `RDS_IAM_TRUST` where a bundle leaves
 * the authorities out.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.SSL.html
 */
export async function trustedTls(options: TrustedTlsOptions): Promise<PlainTls> {
  const checks = createChecks()
  const given = checks.object('options', options, '{ host }') ?? {}
  checks.known(given, ['host', 'region', 'tls'])
  if (given.host === undefined) checks.complain('host', 'is missing')
  const host = checks.host('host', given.host) ?? ''
  if (isIpAddress(host))
    checks.complain('host', 'is an IP address, which no certificate names; give the endpoint')
  const endpoint = { host, port: 0 }
  const region = readRegion(checks, given.region, endpoint)
  const everyRegion = followsWriter(given.region, endpoint)
  const ca = readCa(checks, given.tls)
  refuseProblems('trustedTls', checks.problems)
  const extraCaFile = readVariable('NODE_EXTRA_CA_CERTS')
  const caFiles = findCaFiles(Object.values(caVariables))
  return {
    ...plainTls(await createTrust({ region, everyRegion, endpoint, ca, extraCaFile, caFiles }).load()),
  }
}
