/** A variable's text, or nothing where it is unset or empty. */
export function readVariable(name: string): string | undefined {
  return process.env[name] || undefined
}

/** Whether this process is a Lambda function's, where an initialisation precedes the first invocation. */
export function isLambda(): boolean {
  return readVariable('AWS_LAMBDA_FUNCTION_NAME') !== undefined
}

/**
 * Whether the process handles one invocation at a time, so that an earlier one is over when the next begins.
 * Lambda Managed Instances run many at once in one process.
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
