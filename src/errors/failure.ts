import { formatConnectArn } from '../identifiers/arn.ts'
import type { RdsIamErrorCode } from './rds-iam-error.ts'
import type { Target } from './target.ts'

/**
 * What became of the token of an attempt before it failed: `unasked`, the server never asked for it in clear
 * text; `sent`, the server asked and got it.
 */
export type TokenUse = 'unasked' | 'sent'

/** What an attempt to connect was about, as far as remedies speak of it. */
export interface FailureContext extends Target {
  /** What became of the token, where it is known. It says more than the words of a refusal, which differ. */
  readonly token?: TokenUse | undefined
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
  /** What must be known to have become of the token. */
  readonly token?: TokenUse
}

/** One kind of failure. */
export interface Failure {
  readonly code: RdsIamErrorCode
  /** One of these must match. */
  readonly patterns: readonly Pattern[]
  /** What it means and what to check first; the words that were observed may name it. */
  readonly check: string | ((context: FailureContext, observed: string) => string)
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
    'the database, and the clock. Throttled connections get the same answer, and credentials that ended or are of another ' +
    'account: the metric IamDbAuthConnectionFailureThrottling and the log iam-db-auth-error of the database tell.'
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

/** What to do where the server has no memory, or no process, for another connection. */
export const noRoom =
  'The server has neither memory nor processes for another connection. Lower `max` or the concurrency of the function, put RDS Proxy ' +
  'before the database, or give it a larger instance: IAM authentication itself takes 300 to 1000 MiB.'

/** What to do where the server gave up on a login. */
export const loginTimedOut =
  'The server gave up on the login because it took too long. It has too little processor time or memory, or gets too many logins at ' +
  'once: see its CPUUtilization and FreeableMemory.'

/**
 * The resource id is none of what a function knows; the endpoint's name tells its kind, but for the
 * instances, which may be Aurora's.
 */
function resourceIdOf(endpointHost: string): string {
  const [, kind] = /^[^.]+(?:\.endpoint)?\.(proxy|cluster|global)-/.exec(endpointHost) ?? []
  if (kind === 'proxy') return '<prx-…>'
  return kind === undefined ? '<DbiResourceId>' : '<cluster-…>'
}
