import { withDeadline } from './deadline.ts'

/**
 * Lets the event loop deliver what happened to the sockets while the process was frozen: one turn reads what
 * arrived, the next one closes what ended.
 */
export async function settle(): Promise<void> {
  await turn()
  await turn()
}

/** Resolves at the end of this turn of the event loop, when its input and output is done. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/**
 * How long a connection has been silent, in milliseconds by the wall clock, which a freeze does not stop. A
 * clock that stepped back tells nothing: then it is infinite.
 */
export function silenceMs(lastUsedMs: number): number {
  const silence = Date.now() - lastUsedMs
  return silence < 0 ? Number.POSITIVE_INFINITY : silence
}

/**
 * Whether a connection may have ended unseen since it was used. A freeze lasts for a millisecond or longer:
 * without such a pause, nothing can have happened unseen.
 */
export function isQuiet(lastUsedMs: number, pingAfterIdleMs: number): boolean {
  const silence = silenceMs(lastUsedMs)
  return silence >= 1 || silence >= pingAfterIdleMs
}

/**
 * Waits for something that may not end, for half of the time that is left: the rest is for a new connection.
 * Never rejects.
 */
export async function waitHalf(promise: Promise<unknown>, deadlineMs: number): Promise<void> {
  const leftMs = (deadlineMs - Date.now()) / 2
  await withDeadline(promise, leftMs, () => new Error('no answer')).catch(() => {})
}
