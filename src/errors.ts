/**
 * What went wrong, as a stable string:
 *
 * | code | means |
 * |---|---|
 * | `RDS_IAM_OPTIONS` | an option is wrong or missing |
 * | `RDS_IAM_CREDENTIALS` | there are no usable AWS credentials, or signing failed |
 * | `RDS_IAM_TRUST` | the server could not be verified over TLS; no token was sent |
 * | `RDS_IAM_UNREACHABLE` | no connection to the server: DNS, network, security group, timeout |
 * | `RDS_IAM_ACCESS_DENIED` | the server refused the authentication token |
 * | `RDS_IAM_NOT_GRANTED` | the database user is not an IAM user, or does not exist |
 * | `RDS_IAM_THROTTLED` | too many connections, or new ones too fast |
 * | `RDS_IAM_UNAVAILABLE` | the server is starting up, shutting down or failing over |
 * | `RDS_IAM_DATABASE` | authentication worked; the database then refused the session |
 */
export type RdsIamErrorCode =
  | 'RDS_IAM_OPTIONS'
  | 'RDS_IAM_CREDENTIALS'
  | 'RDS_IAM_TRUST'
  | 'RDS_IAM_UNREACHABLE'
  | 'RDS_IAM_ACCESS_DENIED'
  | 'RDS_IAM_NOT_GRANTED'
  | 'RDS_IAM_THROTTLED'
  | 'RDS_IAM_UNAVAILABLE'
  | 'RDS_IAM_DATABASE'

/**
 * The only error this package throws. Errors of the handler's own queries pass through untouched.
 *
 * @example
 * ```ts
 * if (error instanceof RdsIamError && error.code === 'RDS_IAM_ACCESS_DENIED') console.error(error.message, error.docs)
 * ```
 */
export class RdsIamError extends Error {
  /** What went wrong, stable across releases. */
  readonly code: RdsIamErrorCode
  /** Where the README explains this code, for example `README.md#rds_iam_access_denied`. */
  readonly docs: string

  /**
   * @param code What went wrong.
   * @param message What was attempted, what was observed, and what to check first.
   * @param options `cause`: the driver's, the SDK's or Node's error, where there is one.
   */
  constructor(code: RdsIamErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'RdsIamError'
    this.code = code
    this.docs = `https://www.npmjs.com/package/middy-rds-iam#${code.toLowerCase()}`
  }
}
