import { withDeadline } from '../time/deadline.ts'

/** The time that there is. */
export interface TimeLimit {
  /** For each step, in milliseconds. */
  readonly stepMs: number
  /** When the whole has to end, in milliseconds since the epoch; infinity where nobody knows. */
  readonly deadlineMs: number
}

/** When a step that begins now has to end, in milliseconds since the epoch. */
export function stepDeadline({ stepMs, deadlineMs }: TimeLimit): number {
  return Math.min(Date.now() + stepMs, deadlineMs)
}

/**
 * Waits as long as a step may take.
 *
 * @param missing What there is not when the time is over, `no connection` for example.
 * @param code What Node calls it, where that says more.
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

/** Nothing came within the time of a step. */
export class TimeOver extends Error {
  readonly code: string | undefined

  constructor(missing: string, timeoutMs: number, code?: string) {
    super(timeoutMs > 0 ? `${missing} within ${timeoutMs} ms` : 'the invocation has no time left to connect')
    this.code = timeoutMs > 0 ? code : undefined
  }
}
