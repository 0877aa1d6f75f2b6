import { setTimeout } from 'node:timers/promises'
import { EventsDenied, readResourceStatus } from './aws.ts'
import type { ResourceRequest } from './resource-request.ts'
import { TaskFailure } from './user-task.ts'

type RequestType = 'Create' | 'Update' | 'Delete'

/**
 * What the events of a stack say of a resource while CloudFormation waits for the answer to a request.
 *
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html
 */
const waitingStatuses: Readonly<Record<RequestType, readonly string[]>> = {
  Create: ['CREATE_IN_PROGRESS'],
  // A rollback asks for an update as well.
  Update: ['UPDATE_IN_PROGRESS', 'UPDATE_ROLLBACK_IN_PROGRESS'],
  Delete: ['DELETE_IN_PROGRESS'],
}

// An event may be told later than the request is sent.
const pausesMs = [1_000, 2_000]

/**
 * A permission that came with the same update of the stack takes longer to be known everywhere.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
 */
const deniedPausesMs = [...pausesMs, 4_000, 8_000]

/**
 * Makes sure that CloudFormation has sent a request and still waits for the answer. Whoever may invoke the
 * function can send the same words, and Lambda may bring an old request late; but what the events of a stack
 * say is CloudFormation's alone.
 *
 * A deletion is compared by its physical ID too: while a user that was replaced is cleaned up, the user in
 * its place belongs to the same resource.
 *
 * @throws {TaskFailure} What the events say instead, or why they could not be read.
 */
export async function requireAsked(
  { StackId, LogicalResourceId, PhysicalResourceId }: ResourceRequest,
  type: RequestType,
  signal: AbortSignal,
): Promise<void> {
  const id = type === 'Delete' ? PhysicalResourceId : undefined
  const expected = waitingStatuses[type]
  for (let reading = 0; ; reading += 1) {
    const status = await readResourceStatus(StackId, LogicalResourceId, id, signal).catch(keepDenial)
    const isDenied = status instanceof EventsDenied
    if (!isDenied && status !== undefined && expected.includes(status)) return
    const pauseMs = (isDenied ? deniedPausesMs : pausesMs)[reading]
    if (pauseMs !== undefined) {
      await setTimeout(pauseMs)
      continue
    }
    if (isDenied) throw status
    throw new TaskFailure(
      `CloudFormation does not wait for this ${type}: by the events of its stack, ${LogicalResourceId} ` +
        `${id === undefined ? '' : `as ${id} `}is not ${expected[0]} but ${status ?? 'unknown'}`,
    )
  }
}

function keepDenial(error: unknown): EventsDenied {
  if (error instanceof EventsDenied) return error
  throw error
}
