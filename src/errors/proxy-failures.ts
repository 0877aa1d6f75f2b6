import { type Failure, unencrypted } from './failure.ts'

/**
 * What RDS Proxy says by itself, before it has reached a database. Its codes differ between the engines and are
 * mostly not public, so that its words decide.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy.troubleshooting.html
 */
export const proxyFailures: readonly Failure[] = [
  {
    code: 'RDS_IAM_TRUST',
    patterns: [{ message: /requires TLS connections|allowed only with SSL/i }],
    check: unencrypted,
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [
      { message: /too many competing requests|rate limit exceeded|Rate of connection to proxy exceeded/i },
      { message: /number of client connections to the proxy exceeded|simultaneous connections exceeded/i },
    ],
    check:
      'RDS Proxy takes no more connections, or no more new ones at once. Lower `max` or the concurrency of the function, and keep ' +
      'connections between invocations.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ message: /Timed-out waiting to acquire database connection/i }],
    check:
      'RDS Proxy had no connection to the database free in its borrow timeout. See its metrics DatabaseConnectionsBorrowLatency and ' +
      'DatabaseConnectionsCurrentlySessionPinned, its MaxConnectionsPercent, and by `aws rds describe-db-proxy-targets` whether it ' +
      'reaches the database.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ message: /no credentials for the role/i }],
    check: 'RDS Proxy has no secret for this user. Add one, or set DefaultAuthScheme to IAM_AUTH.',
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    patterns: [
      { message: /password that was provided for the role .* is wrong/i },
      { message: /RDS supports only IAM/i },
    ],
    check: ({ user }) =>
      `RDS Proxy does not authenticate ${user} by IAM. Set IAMAuth to REQUIRED for the user's secret in the proxy, or its ` +
      'DefaultAuthScheme to IAM_AUTH.',
  },
]
