import { withDeadline } from '../time/deadline.ts'

/** The time that a diagnosis may take. */
export interface TimeLimit {
  /** For each step, in milliseconds. */
  readonly stepMs: number
  /** When all steps have to end, in milliseconds since the epoch; infinity if there is no such limit. */
  readonly deadlineMs: number
}

/** When a step that begins now has to end, in milliseconds since the epoch. */
export function stepDeadline({ stepMs, deadlineMs }: TimeLimit): number {
  return Math.min(Date.now() + stepMs, deadlineMs)
}

/**
 * Waits as long as a step may take.
 *
 * @param missing What is missing when the time is over, for example `no connection`.
 * @param code Node's code for it, if there is one that says more.
 */
export function withinLimit<T>(
  promise: Promise<T>,
  limit: TimeLimit,
  missing: string,
  code?: string,
): Promise<T> {
  const timeoutMs = Math.round(stepDeadline(limit) - Date.now())
  const late = () => new TimeOver(missing, timeoutMs, code)
  if (timeoutMs > 0) return withDeadline(promise, timeoutMs, late)
  promise.catch(() => {})
  return Promise.reject(late())
}

/** The time of a step was over before its result came. */
export class TimeOver extends Error {
  readonly code: string | undefined

  constructor(missing: string, timeoutMs: number, code?: string) {
    super(timeoutMs > 0 ? `${missing} within ${timeoutMs} ms` : 'the invocation has no time left to connect')
    this.code = timeoutMs > 0 ? code : undefined
  }
}
