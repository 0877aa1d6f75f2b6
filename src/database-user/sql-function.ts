import { invokeFunction } from './aws.ts'
import { TaskFailure, type TaskOutcome, type UserTask } from './user-task.ts'

/**
 * Has the function that is in the VPC do a task.
 *
 * @returns What was done.
 * @throws {TaskFailure} What the database, or the way to it, has against the task.
 */
export async function haveDone(task: UserTask, abortSignal: AbortSignal): Promise<string> {
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

/** Reads JSON of somebody else's; what is none has nothing in it. What V8 says of a text that is no JSON would quote it. */
export function parseObject(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text ?? '') ?? {}
  } catch {
    return {}
  }
}
