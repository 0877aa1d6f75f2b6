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
 * | `RDS_IAM_UNAVAILABLE` | the server is starting up, resuming, shutting down or failing over |
 * | `RDS_IAM_DATABASE` | authentication worked; the database then refused the session |
 * | `RDS_IAM_CLOSED` | a connection was asked for after `close()` |
 *
 * @example 'RDS_IAM_ACCESS_DENIED'
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
  | 'RDS_IAM_CLOSED'

/**
 * The only error this package throws. Errors of the handler's own queries pass through untouched.
 *
 * @example
 * ```ts
 * import { createPgPool } from 'middy-rds-iam/pg'
 *
 * const error: unknown = await createPgPool().query('select 1').catch(error => error)
 * if (error instanceof RdsIamError && error.code === 'RDS_IAM_ACCESS_DENIED') console.error(error.docs)
 * ```
 */
export class RdsIamError extends Error {
  /** What went wrong, stable across releases. */
  readonly code: RdsIamErrorCode
  /**
   * Where this code is explained, a page of the installed package and its heading:
   * `node_modules/middy-rds-iam/docs/errors.md#rds_iam_access_denied`, for example.
   */
  readonly docs: string
  // Not enumerable: a logged error has it in the message already.
  readonly #remedy: string | undefined

  /**
   * @param code What went wrong.
   * @param message What was attempted, and what was observed.
   * @param options `cause`: the driver's, the SDK's or Node's error, where there is one. `remedy`: what to
   * check first; the message ends with it.
   */
  constructor(
    code: RdsIamErrorCode,
    message: string,
    options?: { readonly cause?: unknown; readonly remedy?: string | undefined },
  ) {
    super(options?.remedy === undefined ? message : `${message} ${options.remedy}`, options)
    this.name = 'RdsIamError'
    this.#remedy = options?.remedy
    this.code = code
    this.docs = `node_modules/middy-rds-iam/docs/errors.md#${code.toLowerCase()}`
  }

  /** What to check first, where it is known: the end of the message. */
  get remedy(): string | undefined {
    return this.#remedy
  }
}
