/**
 * AWS credentials, as every provider of the AWS SDK gives them.
 *
 * @example { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: process.env.SECRET_ACCESS_KEY ?? '' }
 */
export interface AwsCredentials {
  /** The id of the key pair, for example `AKIAIOSFODNN7EXAMPLE`. */
  readonly accessKeyId: string
  /** The secret of the key pair. It stays in the process: what is signed with it does not contain it. */
  readonly secretAccessKey: string
  /** Present for temporary credentials: roles, SSO, Lambda. */
  readonly sessionToken?: string | undefined
  /** When temporary credentials end. An authentication token dies with them. */
  readonly expiration?: Date | undefined
}

/**
 * Gives AWS credentials on demand, for example what `fromTemporaryCredentials()` of the AWS SDK returns.
 *
 * @example
 * ```ts
 * import { fromTemporaryCredentials } from '@aws-sdk/credential-providers'
 *
 * const RoleArn = 'arn:aws:iam::123456789012:role/orders-database'
 * const credentials: AwsCredentialsProvider = fromTemporaryCredentials({ params: { RoleArn } })
 * ```
 */
export type AwsCredentialsProvider = (options?: {
  /** Whether to fetch new ones, because a token that the last ones signed was refused. */
  readonly forceRefresh?: boolean
  /** The settings of a client of the AWS SDK. There is none here, and its providers ask for none. */
  readonly callerClientConfig?: never
}) => Promise<AwsCredentials>

/**
 * AWS credentials in environment variables, where Lambda puts those of the function's role. Nothing where a
 * profile is chosen, as in the SDK's default chain.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
 */
export function readEnvironmentCredentials(): AwsCredentials | undefined {
  const {
    AWS_PROFILE,
    AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN,
    AWS_CREDENTIAL_EXPIRATION,
  } = process.env
  if (AWS_PROFILE || !AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY) return undefined
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}),
    ...(AWS_CREDENTIAL_EXPIRATION ? { expiration: new Date(AWS_CREDENTIAL_EXPIRATION) } : {}),
  }
}
