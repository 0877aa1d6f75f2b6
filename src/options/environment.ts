import type { CaFile } from '../trust/roots.ts'

/**
 * A variable's text, or nothing where it is unset or empty.
 *
 * @example readVariable('AWS_REGION') // 'eu-west-1', or undefined
 */
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

/** The environment variables that name a file of authorities, by engine. */
export const caVariables = { postgres: 'PGSSLROOTCERT', mysql: 'MYSQL_SSL_CA' } as const

/**
 * The files of authorities that environment variables name.
 *
 * @see https://www.postgresql.org/docs/current/libpq-envars.html `PGSSLROOTCERT`, whose value `system` names
 * no file
 */
export function findCaFiles(variables: readonly string[]): readonly CaFile[] {
  return variables.flatMap(variable => {
    const path = readVariable(variable)
    return path === undefined || path === 'system' ? [] : [{ variable, path }]
  })
}
