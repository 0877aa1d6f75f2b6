import { refuseMissing } from './missing-package.ts'
import { TaskFailure } from './user-task.ts'

const remedy =
  "Lambda's Node.js runtimes bring it; for a container image of your own, install it beside middy-rds-iam"

/** A secret that is deleted, or about to be: nobody can read it any more. */
export class SecretGone extends TaskFailure {}

/**
 * @returns The text of a secret.
 * @throws {TaskFailure} Why it could not be read: {@link SecretGone} where it is not there.
 * @see https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
 */
export async function readSecret(id: string, abortSignal: AbortSignal): Promise<string | undefined> {
  const { GetSecretValueCommand, SecretsManagerClient } = await import(
    '@aws-sdk/client-secrets-manager'
  ).catch(refuseMissing(remedy))
  const client = new SecretsManagerClient()
  try {
    const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: id }), { abortSignal })
    return SecretString
  } catch (error) {
    const { name, message } = error as Error
    // The second is said of a secret in its days before the deletion.
    const isGone =
      name === 'ResourceNotFoundException' ||
      (name === 'InvalidRequestException' && /marked for deletion|scheduled for deletion/i.test(message))
    const Failure = isGone ? SecretGone : TaskFailure
    throw new Failure(`The secret ${id} could not be read: ${describeRefusal(error)}`)
  } finally {
    client.destroy()
  }
}

/** What came of an invocation. */
export interface Invoked {
  /** JSON. */
  readonly payload: string | undefined
  /** Whether the function failed, and the payload says how. */
  readonly hasFailed: boolean
}

/** Invokes a Lambda function and waits for its end. @throws {TaskFailure} Why it could not be invoked. */
export async function invokeFunction(
  name: string,
  event: unknown,
  abortSignal: AbortSignal,
): Promise<Invoked> {
  const { InvokeCommand, LambdaClient } = await import('@aws-sdk/client-lambda').catch(refuseMissing(remedy))
  const client = new LambdaClient()
  const invoke = new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event) })
  try {
    const { FunctionError, Payload } = await client.send(invoke, { abortSignal })
    return { payload: Payload?.transformToString(), hasFailed: FunctionError !== undefined }
  } catch (error) {
    // A request that Lambda refused has not reached the function.
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode ?? 0
    throw new TaskFailure(`${name} could not be invoked: ${describeRefusal(error)}`, {
      mayRemain: !(status >= 400 && status < 500),
    })
  } finally {
    client.destroy()
  }
}

function describeRefusal(error: unknown): string {
  const { name, message } = error as Error
  return `${name}: ${message}`
}
