/** AWS credentials, as every provider of the AWS SDK gives them. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Present for temporary credentials: roles, SSO, Lambda. */
  readonly sessionToken?: string | undefined
  /** When temporary credentials end. An authentication token dies with them. */
  readonly expiration?: Date | undefined
}

/** Gives AWS credentials on demand, for example what `fromTemporaryCredentials()` of the AWS SDK returns. */
export type AwsCredentialsProvider = (options?: { forceRefresh?: boolean }) => Promise<AwsCredentials>

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
