import { takenNameProblem } from '../identifiers/user-names.ts'
import { readSecret, SecretGone } from './aws.ts'
import { type OwnUser, readOwnUser } from './own-stack.ts'
import {
  notCreated,
  physicalIdOf,
  type ResourceRequest,
  readPhysicalId,
  readProperties,
  requireOwn,
} from './resource-request.ts'
import { haveDone, parseObject } from './sql-function.ts'
import type { Answer } from './stack-answer.ts'
import { requireAsked } from './stack-progress.ts'
import { type DatabaseUser, describeError, TaskFailure, type TaskOwner, type UserTask } from './user-task.ts'

/** Does what CloudFormation asks for. @returns What to answer; it never throws. */
export async function settle(request: ResourceRequest, signal: AbortSignal): Promise<Answer> {
  const { RequestType, PhysicalResourceId = notCreated } = request
  const run: Run = { request, signal, secrets: [], id: PhysicalResourceId }
  try {
    const PhysicalId = { PhysicalResourceId }
    if (RequestType === 'Delete') return { Status: 'SUCCESS', Reason: await remove(run), ...PhysicalId }
    if (RequestType !== 'Create' && RequestType !== 'Update')
      throw new TaskFailure(`There is no request of the type ${JSON.stringify(RequestType)}`)
    return { Status: 'SUCCESS', Reason: await keep(run, RequestType), PhysicalResourceId: run.id }
  } catch (error) {
    const { message, mayRemain } =
      error instanceof TaskFailure ? error : new TaskFailure(describeError(error), { mayRemain: true })
    // After a failed creation, CloudFormation has this ID deleted. After any other failure, it keeps the one
    // that it has.
    const id = RequestType === 'Create' && mayRemain ? run.id : PhysicalResourceId
    return { Status: 'FAILED', Reason: redact(message, run.secrets), PhysicalResourceId: id }
  }
}

/** A request that is being settled. */
interface Run {
  readonly request: ResourceRequest
  readonly signal: AbortSignal
  /** What no message may have in it. */
  readonly secrets: string[]
  /** The physical ID of what is asked for. */
  id: string
}

async function keep(run: Run, type: 'Create' | 'Update'): Promise<string> {
  const own = readOwnUser()
  requireOwnStack(run.request, own)
  requireOwnResource(run.request, own)
  const { masterSecretArn, ...user } = readProperties(run.request)
  requireOwn({ masterSecretArn, ...user }, own)
  await requireAsked(run.request, type, run.signal)
  run.id = physicalIdOf(user)
  const master = await readMaster(run, masterSecretArn)
  const problem = takenNameProblem(user.user, master.username)
  if (problem !== undefined) throw new TaskFailure(`\`User\` ${problem}`)
  return haveDone({ ...user, action: 'keep', owner: ownerOf(run), master }, run.signal)
}

/** Drops what the resource made. What it needs to know stands in the physical ID; no property is read. */
async function remove(run: Run): Promise<string> {
  if (run.id === notCreated) return 'It was never created.'
  const user = readPhysicalId(run.id)
  // An earlier version's, or somebody's who made it up.
  if (user === undefined) return 'Nothing was ever created under this physical ID.'
  try {
    const own = readOwnUser()
    // The resource may have had another name in the template that made the user: its mark in the database tells.
    requireOwnStack(run.request, own)
    if (user.host !== own.host || user.port !== own.port)
      throw new TaskFailure(
        `The stack's server is ${own.host}:${own.port} now, and the master user's password goes to no other one`,
      )
    await requireAsked(run.request, 'Delete', run.signal)
    const master = await readMaster(run, own.masterSecretArn)
    const problem = takenNameProblem(user.user, master.username)
    if (problem !== undefined) return `Left ${JSON.stringify(user.user)} alone: it ${problem}.`
    const task = { ...user, action: 'drop', owner: ownerOf(run), master, setup: [], grants: [] } as const
    return await haveDone(task, run.signal)
  } catch (error) {
    // Nobody can log in as the master user any more.
    if (error instanceof SecretGone)
      return `${error.message}. Nothing more can be dropped: ${whatRemains(user)}`
    throw new TaskFailure(`${describeError(error)}. ${howToFinish(user, run.request)}`)
  }
}

/** For whoever wants to be sure. */
function whatRemains({ user, host }: DatabaseUser): string {
  return `if ${host} is still there, its user ${JSON.stringify(user)} is too.`
}

function howToFinish(user: DatabaseUser, { StackId, LogicalResourceId }: ResourceRequest): string {
  return (
    `Not dropped: ${whatRemains(user)} Mend that and delete again, or drop the user by hand and go on with ` +
    `aws cloudformation delete-stack --stack-name ${StackId} --retain-resources ${LogicalResourceId}`
  )
}

function requireOwnStack({ StackId }: ResourceRequest, own: OwnUser): void {
  if (StackId !== own.stack)
    throw new TaskFailure(`The function is there for the stack ${own.stack} alone, not for ${StackId}`)
}

function requireOwnResource({ LogicalResourceId }: ResourceRequest, own: OwnUser): void {
  if (LogicalResourceId !== own.resource)
    throw new TaskFailure(
      `The function is there for the resource ${own.resource} of its stack alone, not for ${LogicalResourceId}`,
    )
}

function ownerOf({ request, id }: Run): TaskOwner {
  return { stack: request.StackId, resource: request.LogicalResourceId, id }
}

/** @throws {TaskFailure} Without anything of what the secret holds. */
async function readMaster({ secrets, signal }: Run, arn: string): Promise<UserTask['master']> {
  const { username, password } = parseObject(await readSecret(arn, signal))
  if (typeof username !== 'string' || typeof password !== 'string' || username === '' || password === '')
    throw new TaskFailure(`The secret ${arn} is no JSON with the texts username and password`)
  secrets.push(password)
  return { username, password }
}

/** The last guard: no message here is meant to have a secret in it. */
function redact(message: string, secrets: readonly string[]): string {
  return secrets
    .flatMap(secret => [secret, JSON.stringify(secret).slice(1, -1)])
    .reduce((text, secret) => text.replaceAll(secret, '…'), message)
}
