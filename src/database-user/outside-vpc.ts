import { takenNameProblem } from '../identifiers/user-names.ts'
import { invokeFunction, readSecret } from './aws.ts'
import { type DatabaseUserOptions, type InvocationContext, readHandlerLogger } from './handler-options.ts'
import {
  notCreated,
  physicalIdOf,
  type ResourceRequest,
  readProperties,
  readRequest,
  revokedGrants,
  type UserProperties,
} from './resource-request.ts'
import { type Answer, answerTimeMs, sendAnswer } from './stack-answer.ts'
import { describeError, TaskFailure, type TaskOutcome, type UserTask } from './user-task.ts'

/**
 * Makes the handler of the custom resource `Custom::DatabaseUser`, whose function the resource's
 * `ServiceToken` names. It answers CloudFormation, whatever happens, and has the SQL run by the function of
 * {@link createHandlerInsideVpc}.
 *
 * **Where it runs**: in no VPC. It has to reach Secrets Manager, Lambda and CloudFormation, which takes no
 * NAT gateway there. Its time limit should be twice that of the other function, and asynchronous invocations
 * should not be repeated (`MaximumRetryAttempts: 0`).
 *
 * **Its event** is a request of CloudFormation's (`RequestType`, `ResponseURL`, `StackId`, `RequestId`,
 * `LogicalResourceId`, and where there is one `PhysicalResourceId`). The properties in it:
 * - `Engine`: `postgres`, or `mysql`, which is MariaDB's too;
 * - `Host`, `Port`, `Database`, `User`: the user, and the database that it is for;
 * - `MasterSecretArn`: a secret in Secrets Manager with the texts `username` and `password`;
 * - `Setup`, optional: statements that the master user runs before the grants, at every update too;
 * - `Grants`, optional: all that the user may do, `SELECT, INSERT ON notes` for example.
 *
 * **Environment variables**: `SQL_FUNCTION` is the name or ARN of the other function.
 *
 * **Permissions**: `secretsmanager:GetSecretValue` on the secret, `kms:Decrypt` on its key if that is one of
 * your own, `lambda:InvokeFunction` on the other function, and to write its log.
 *
 * **Packages**: `@aws-sdk/client-lambda` and `@aws-sdk/client-secrets-manager`, which Lambda's Node.js
 * runtimes bring.
 *
 * @example
 * ```ts
 * import { createHandlerOutsideVpc } from 'middy-rds-iam/database-user'
 * export const handler = createHandlerOutsideVpc()
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem of the options at once. The handler throws
 * where the event is no request of CloudFormation's, and where CloudFormation cannot be answered.
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-custom-resources-lambda.html
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-requests.html
 * @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
export function createHandlerOutsideVpc(
  options?: DatabaseUserOptions,
): (event: unknown, context: InvocationContext) => Promise<void> {
  const logger = readHandlerLogger('createHandlerOutsideVpc', 'database-user', options)
  return async (event, context) => {
    const request = readRequest(event)
    const { RequestType, LogicalResourceId } = request
    const timeMs = Math.max(1_000, context.getRemainingTimeInMillis() - answerTimeMs)
    const answer = await settle(request, AbortSignal.timeout(timeMs))
    logger.info('request settled', { RequestType, LogicalResourceId, ...answer })
    await sendAnswer(request, answer)
  }
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
    // After a failed creation, CloudFormation has this ID deleted. After any other failure, it keeps the one
    // that it has.
    const id = RequestType === 'Create' && mayRemain ? ownId : PhysicalResourceId
    return { Status: 'FAILED', Reason: redact(message, secrets), PhysicalResourceId: id }
  }
}

function taskOf(
  request: ResourceRequest,
  properties: UserProperties,
  master: UserTask['master'],
  id: string,
): UserTask {
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
): Promise<UserTask['master']> {
  const { username, password } = parseObject(await readSecret(masterSecretArn, abortSignal))
  if (typeof username !== 'string' || typeof password !== 'string' || username === '' || password === '')
    throw new TaskFailure(`The secret ${masterSecretArn} is no JSON with the texts username and password`)
  const problem = takenNameProblem(user, username)
  if (problem !== undefined) throw new TaskFailure(`\`User\` ${problem}`)
  return { username, password }
}

/** @throws {TaskFailure} What the database, or the way to it, has against the task. */
async function haveDone(task: UserTask, abortSignal: AbortSignal): Promise<string> {
  const name = process.env.SQL_FUNCTION
  if (!name)
    throw new TaskFailure('The environment variable SQL_FUNCTION names no function that runs the SQL')
  const { payload, hasFailed } = await invokeFunction(name, task, abortSignal)
  const outcome = parseObject(payload) as Partial<Record<string, unknown>>
  if (hasFailed) {
    const { errorType, errorMessage } = outcome
    throw new TaskFailure(`${name} failed: ${errorType}: ${errorMessage}`, { mayRemain: true })
  }
  const { done, failed, mayRemain } = outcome as Partial<
    TaskOutcome & Record<'done' | 'failed' | 'mayRemain', unknown>
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
