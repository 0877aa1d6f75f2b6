import { formatConnectArn } from '../identifiers/arn.ts'
import type { RdsIamErrorCode } from './rds-iam-error.ts'

/** What was tried when it failed, as far as remedies speak of it. */
export interface Target {
  readonly user: string
  readonly host: string
  readonly port: number
  /** Empty for none. */
  readonly database: string
  readonly region: string
  /** The RDS endpoint, where `host` is another name for it. */
  readonly endpointHost: string
  /** The AWS account, where the invocation tells it. */
  readonly account?: string | undefined
}

/** A way to recognise a failure: all that is given must fit. */
export interface Sign {
  /** Codes of the driver or of Node: a SQLSTATE, an `ER_…` or an `errno` name. Many errors of drivers carry none. */
  readonly codes?: readonly string[]
  readonly message?: RegExp
}

/** One kind of failure. */
export interface Failure {
  readonly code: RdsIamErrorCode
  /** Any of these will do. */
  readonly signs: readonly Sign[]
  /** What it means and what to check first. */
  readonly check: string | ((target: Target) => string)
  /**
   * Whether it passes by itself within seconds: `soon` where the server or the network says so, `perhaps` where the words are those of
   * a wrong policy too. Nothing where it does not.
   */
  readonly passes?: 'soon' | 'perhaps'
}

/** What every engine asks to be checked where it refuses a token. */
export function checkToken({ region, user, endpointHost, account: accountId = '<account>' }: Target): string {
  // As far as it can be known from here.
  const arn = formatConnectArn({ region, accountId, resourceId: resourceIdOf(endpointHost), user })
  return (
    'The server refused the authentication token. Check first that the role may `rds-db:connect` on ' +
    `${arn}; then that IAM authentication is enabled on the database, that the user's name is spelled as in ` +
    'the database, and the clock. Throttled connections get the same answer: the metric ' +
    'IamDbAuthConnectionFailureThrottling and the log iam-db-auth-error of the database tell.'
  )
}

/** What to do where the database says that it was not asked for TLS. This package's own connection always is encrypted. */
export const unencrypted =
  'The connection reached the database without TLS: something on the way ends it. Give the endpoint of the RDS database itself, or of ' +
  'RDS Proxy, as the host.'

/** What to do where the server has no place for another connection. */
export const tooManyConnections =
  'There are more connections than the server takes. Lower `max` or the concurrency of the function, or put RDS Proxy before ' +
  'the database.'

/** The resource id is none of what a function knows; the endpoint's name tells its kind, but for the instances, which may be Aurora's. */
function resourceIdOf(endpointHost: string): string {
  const [, kind] = /^[^.]+(?:\.endpoint)?\.(proxy|cluster)-/.exec(endpointHost) ?? []
  if (kind === 'proxy') return '<prx-…>'
  return kind === 'cluster' ? '<cluster-…>' : '<DbiResourceId>'
}
