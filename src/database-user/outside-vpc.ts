import { Logger } from '@aws-lambda-powertools/logger'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { Context } from 'aws-lambda'
import { takenNameProblem } from '../users/user-names.ts'
import { type Answer, answerTimeMs, sendAnswer } from './answer.ts'
import {
  notCreated,
  physicalIdOf,
  type ResourceRequest,
  readProperties,
  readRequest,
  revokedGrants,
  type UserProperties,
} from './request.ts'
import { describeError, type Outcome, type Task, TaskFailure } from './task.ts'

const logger = new Logger({ serviceName: 'database-user' })
const secretsManager = new SecretsManagerClient()
const lambda = new LambdaClient()

/**
 * The custom resource `Custom::DatabaseUser`: a database user that IAM decides about, created, kept and dropped with its stack. It answers
 * CloudFormation, whatever happens, and has `database-user-sql.ts` run the SQL, which is in the VPC of the database.
 */
export async function handler(
  event: unknown,
  context: Pick<Context, 'getRemainingTimeInMillis'>,
): Promise<void> {
  const request = readRequest(event)
  const { RequestType, LogicalResourceId } = request
  const timeMs = Math.max(1_000, context.getRemainingTimeInMillis() - answerTimeMs)
  const answer = await settle(request, AbortSignal.timeout(timeMs))
  logger.info('request settled', { RequestType, LogicalResourceId, ...answer })
  await sendAnswer(request, answer)
}

async function settle(request: ResourceRequest, signal: AbortSignal): Promise<Answer> {
  const { RequestType, PhysicalResourceId = notCreated } = request
  if (RequestType === 'Delete' && PhysicalResourceId === notCreated)
    return { Status: 'SUCCESS', Reason: 'It was never created.', PhysicalResourceId }
  let ownId = PhysicalResourceId
  const secrets: string[] = []
  try {
    if (!['Create', 'Update', 'Delete'].includes(RequestType))
      throw new TaskFailure(`There is no request of the type ${JSON.stringify(RequestType)}`)
    const properties = readProperties(request)
    ownId = RequestType === 'Delete' ? PhysicalResourceId : physicalIdOf(properties)
    const master = await readMaster(properties, signal)
    secrets.push(master.password)
    const task = taskOf(request, properties, master, ownId)
    return { Status: 'SUCCESS', Reason: await haveDone(task, signal), PhysicalResourceId: ownId }
  } catch (error) {
    const { message, mayRemain } =
      error instanceof TaskFailure ? error : new TaskFailure(describeError(error), { mayRemain: true })
    // After a failed creation, CloudFormation has this ID deleted. After any other failure, it keeps the one that it has.
    const id = RequestType === 'Create' && mayRemain ? ownId : PhysicalResourceId
    return { Status: 'FAILED', Reason: redact(message, secrets), PhysicalResourceId: id }
  }
}

function taskOf(
  request: ResourceRequest,
  properties: UserProperties,
  master: Task['master'],
  id: string,
): Task {
  const { masterSecretArn: _, ...user } = properties
  const { RequestType, StackId, LogicalResourceId } = request
  return {
    ...user,
    action: RequestType === 'Delete' ? 'drop' : 'keep',
    owner: { stack: StackId, resource: LogicalResourceId, id },
    revokes: revokedGrants(request, properties),
    master,
  }
}

/** @throws {TaskFailure} Without anything of what the secret holds. */
async function readMaster(
  { masterSecretArn, user }: UserProperties,
  abortSignal: AbortSignal,
): Promise<Task['master']> {
  const place = `The secret ${masterSecretArn}`
  const read = new GetSecretValueCommand({ SecretId: masterSecretArn })
  const { SecretString } = await secretsManager.send(read, { abortSignal }).catch(error => {
    throw new TaskFailure(`${place} could not be read: ${error.name}: ${error.message}`)
  })
  const { username, password } = parseObject(SecretString)
  if (typeof username !== 'string' || typeof password !== 'string' || username === '' || password === '')
    throw new TaskFailure(`${place} is no JSON with the texts username and password`)
  const problem = takenNameProblem(user, username)
  if (problem !== undefined) throw new TaskFailure(`\`User\` ${problem}`)
  return { username, password }
}

/** @throws {TaskFailure} What the database, or the way to it, has against the task. */
async function haveDone(task: Task, abortSignal: AbortSignal): Promise<string> {
  const name = process.env.SQL_FUNCTION
  const invoke = new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(task) })
  const { FunctionError, Payload } = await lambda.send(invoke, { abortSignal }).catch(error => {
    // A request that Lambda refused has not reached the function.
    const isRefused = error.$metadata?.httpStatusCode >= 400 && error.$metadata.httpStatusCode < 500
    throw new TaskFailure(`${name} could not be invoked: ${error.name}: ${error.message}`, {
      mayRemain: !isRefused,
    })
  })
  const outcome = parseObject(Payload?.transformToString()) as Partial<Record<string, unknown>>
  if (FunctionError !== undefined) {
    const { errorType, errorMessage } = outcome
    throw new TaskFailure(`${name} failed: ${errorType}: ${errorMessage}`, { mayRemain: true })
  }
  const { done, failed, mayRemain } = outcome as Partial<
    Outcome & Record<'done' | 'failed' | 'mayRemain', unknown>
  >
  if (typeof done === 'string') return done
  throw new TaskFailure(typeof failed === 'string' ? failed : `${name} gave no answer`, {
    mayRemain: mayRemain !== false,
  })
}

/** What V8 says of a text that is no JSON would quote it. */
function parseObject(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text ?? '') ?? {}
  } catch {
    return {}
  }
}

/** The last guard: no message here is meant to have a secret in it. */
function redact(message: string, secrets: readonly string[]): string {
  return secrets
    .flatMap(secret => [secret, JSON.stringify(secret).slice(1, -1)])
    .reduce((text, secret) => text.replaceAll(secret, '…'), message)
}
