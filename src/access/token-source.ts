import { type Endpoint, isIpAddress } from '../identifiers/endpoint.ts'
import { followsWriter, readRegion } from '../options/address.ts'
import { createChecks, refuseProblems } from '../options/checks.ts'
import { readCredentials, readTokenMargin } from '../options/signing-options.ts'
import { createTokenCache, type TokenCache } from '../token/cache.ts'
import type { AwsCredentials, AwsCredentialsProvider } from '../token/credentials.ts'
import { createSigner } from '../token/signer.ts'
import type { TokenSigner } from '../token/signer-request.ts'
import type { RegionDetail } from './writer-region.ts'
import { createWriterTokens } from './writer-tokens.ts'

/**
 * What authentication tokens are made for, and with.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432, user: 'orders_app' }
 */
export interface TokenSourceOptions extends Endpoint {
  /** The database user, case-sensitive, for example `orders_app`. */
  readonly user: string
  /**
   * The database's Region, for example `eu-west-1`.
   *
   * @default the Region in the endpoint's name, or where the name of a global database leads by DNS; else the
   * environment variable `AWS_REGION`
   */
  readonly region?: string | undefined
  /**
   * AWS credentials, or a provider of them.
   *
   * @default the AWS SDK's default chain; in Lambda, that is the function's role
   */
  readonly credentials?: AwsCredentials | AwsCredentialsProvider | undefined
  /**
   * Signs the tokens in place of the AWS SDK.
   *
   * @default `@aws-sdk/rds-signer`, or the same signature without its start-up time where the credentials are
   * in the environment
   */
  readonly signer?: TokenSigner | undefined
  /**
   * How long in milliseconds before its end a token is no longer given, 0 to 840000.
   *
   * @default 60000
   */
  readonly tokenMarginMs?: number | undefined
}

const optionNames = ['host', 'port', 'user', 'region', 'credentials', 'signer', 'tokenMarginMs']

/**
 * Makes a function that gives an authentication token whenever it is called: a new one, or one that it signed
 * before and that is still valid. For a driver that takes a password for each connection; a token is as good
 * as a password, so give it to a verified server alone.
 *
 * @example
 * ```ts
 * const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
 * const token = createTokenSource({ host, port: 5432, user: 'orders_app' })
 * await token() // 'orders.c1x2.eu-west-1.rds.amazonaws.com:5432/?Action=connect&DBUser=orders_app&…'
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` at once where an option is wrong; `RDS_IAM_CREDENTIALS` from the
 * function that it returns.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
 */
export function createTokenSource(options: TokenSourceOptions): () => Promise<string> {
  const checks = createChecks()
  const given = checks.object('options', options, '{ host, port, user }') ?? {}
  checks.known(given, optionNames)
  for (const name of ['host', 'port', 'user'])
    if (given[name] === undefined) checks.complain(name, 'is missing')
  const host = checks.host('host', given.host) ?? ''
  if (isIpAddress(host))
    checks.complain('host', 'is an IP address, which no token is valid for; give the endpoint')
  const endpoint = { host, port: checks.port('port', given.port) ?? 0 }
  const user = checks.text('user', given.user) ?? ''
  const region = readRegion(checks, given.region, endpoint)
  const credentials = readCredentials(checks, given.credentials)
  const signer = checks.function('signer', given.signer) as TokenSigner | undefined
  const marginMs = readTokenMargin(checks, given.tokenMarginMs)
  refuseProblems('createTokenSource', checks.problems)
  const createTokens = (region: string): TokenCache =>
    createTokenCache(createSigner({ request: { ...endpoint, region, user }, credentials, signer }), marginMs)
  const tokens = followsWriter(given.region, endpoint)
    ? createWriterTokens({ host, fallback: region, tell: warnOfRegion }, createTokens)
    : createTokens(region)
  return async () => (await tokens.get()).token.value
}

/** There is no logger here; that the writer has moved is nothing to be warned of. */
function warnOfRegion(detail: RegionDetail): void {
  if (detail.event === 'region:moved') return
  const { region, observed } = detail
  process.emitWarning(
    `DNS does not tell the Region of the global database (${observed}); ${region} is assumed`,
    {
      type: 'RdsIamWarning',
      code: 'RDS_IAM_UNREACHABLE',
    },
  )
}
