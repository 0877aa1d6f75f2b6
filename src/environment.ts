import type { AwsCredentials } from './options.ts'

/**
 * AWS credentials in environment variables, where Lambda puts those of the function's role. Nothing where a profile is
 * chosen, as in the SDK's default chain.
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

/** A variable's text, or nothing where it is unset or empty. */
export function readVariable(name: string): string | undefined {
  return process.env[name] || undefined
}

/** Whether this process is a Lambda function's, where an initialisation precedes the first invocation. */
export function isLambda(): boolean {
  return readVariable('AWS_LAMBDA_FUNCTION_NAME') !== undefined
}

/**
 * Whether the process handles one invocation at a time, so that an earlier one is over when the next begins. Lambda
 * Managed Instances run many at once in one process.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-nodejs-runtime.html
 */
export function isOneAtATime(): boolean {
  return (
    isLambda() &&
    readVariable('AWS_LAMBDA_INITIALIZATION_TYPE') !== 'lambda-managed-instances' &&
    !(Number(readVariable('AWS_LAMBDA_MAX_CONCURRENCY')) > 1)
  )
}
