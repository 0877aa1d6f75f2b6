import { formatConnectArn } from '../identifiers/arn.ts'
import type { RdsIamErrorCode } from './rds-iam-error.ts'
import type { Target } from './target.ts'

/** What an attempt to connect was about, as far as remedies speak of it. */
export interface FailureContext extends Target {
  /** The AWS account of the function, where the invocation tells it. */
  readonly account?: string | undefined
}

/** What an error is recognised by: everything that is given must match. */
export interface Pattern {
  /**
   * Codes of the driver or of Node: a SQLSTATE, an `ER_…` or an `errno` name. Many errors of drivers carry
   * none.
   */
  readonly codes?: readonly string[]
  readonly message?: RegExp
}

/** One kind of failure. */
export interface Failure {
  readonly code: RdsIamErrorCode
  /** One of these must match. */
  readonly patterns: readonly Pattern[]
  /** What it means and what to check first. */
  readonly check: string | ((context: FailureContext) => string)
  /**
   * Whether it passes by itself within seconds: `soon` where the server or the network says so, `perhaps`
   * where a wrong policy has the same words, `undefined` where it does not.
   */
  readonly passes?: 'soon' | 'perhaps'
}

/** What every engine asks to be checked where it refuses a token. */
export function checkToken({
  region,
  user,
  endpoint,
  account: accountId = '<account>',
}: FailureContext): string {
  // As far as it can be known from here.
  const arn = formatConnectArn({ region, accountId, resourceId: resourceIdOf(endpoint.host), user })
  return (
    'The server refused the authentication token. Check first that the role may `rds-db:connect` on ' +
    `${arn}; then that IAM authentication is enabled on the database, that the user's name is spelled as in ` +
    'the database, and the clock. Throttled connections get the same answer: the metric ' +
    'IamDbAuthConnectionFailureThrottling and the log iam-db-auth-error of the database tell.'
  )
}

/**
 * What to do where the database says that it was not asked for TLS. This package's own connection always is
 * encrypted.
 */
export const unencrypted =
  'The connection reached the database without TLS: something on the way ends it. Give the endpoint of the RDS database itself, or of ' +
  'RDS Proxy, as the host.'

/** What to do where the server has no place for another connection. */
export const tooManyConnections =
  'There are more connections than the server takes. Lower `max` or the concurrency of the function, or put RDS Proxy before ' +
  'the database.'

/**
 * The resource id is none of what a function knows; the endpoint's name tells its kind, but for the
 * instances, which may be Aurora's.
 */
function resourceIdOf(endpointHost: string): string {
  const [, kind] = /^[^.]+(?:\.endpoint)?\.(proxy|cluster|global)-/.exec(endpointHost) ?? []
  if (kind === 'proxy') return '<prx-…>'
  return kind === undefined ? '<DbiResourceId>' : '<cluster-…>'
}
