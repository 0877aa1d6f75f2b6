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

/** The events of a stack that the function's role may not read, or may not read yet. */
export class EventsDenied extends TaskFailure {}

/**
 * @param id A physical ID, where the resource may have more than one.
 * @returns What the newest event of a stack says of a resource, `DELETE_IN_PROGRESS` for example.
 * @throws {TaskFailure} Why the events could not be read: {@link EventsDenied} where IAM is against it.
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html
 */
export async function readResourceStatus(
  stack: string,
  resource: string,
  id: string | undefined,
  abortSignal: AbortSignal,
): Promise<string | undefined> {
  const { CloudFormationClient, paginateDescribeStackEvents } = await import(
    '@aws-sdk/client-cloudformation'
  ).catch(refuseMissing(remedy))
  // Whatever deploys the stack reads its events too, and all share one limit of requests.
  const client = new CloudFormationClient({ maxAttempts: 8 })
  try {
    // The newest come first.
    const pages = paginateDescribeStackEvents({ client }, { StackName: stack }, { abortSignal })
    for await (const { StackEvents = [] } of pages) {
      const event = StackEvents.find(
        ({ LogicalResourceId, PhysicalResourceId }) =>
          LogicalResourceId === resource &&
          // The events of the stack itself have its name in that place, which may be the same.
          PhysicalResourceId !== stack &&
          (id === undefined || PhysicalResourceId === id),
      )
      if (event !== undefined) return event.ResourceStatus
    }
    return undefined
  } catch (error) {
    const isDenied = /^AccessDenied/.test((error as Error).name)
    const Failure = isDenied ? EventsDenied : TaskFailure
    throw new Failure(
      `CloudFormation could not be asked what it does with ${resource}: ${describeRefusal(error)}` +
        (isDenied ? "; allow the function's role cloudformation:DescribeStackEvents on the stack" : ''),
    )
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
