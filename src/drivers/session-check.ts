import type { Access } from '../access/access.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import { withDeadline, withinAnswerTime } from '../time/deadline.ts'
import { elapsedMs } from '../time/elapsed.ts'
import { settle } from '../time/freeze.ts'
import type { Session } from './driver.ts'

/** How long a connection has been silent, and until when its user can wait. */
export interface Silence {
  /** In milliseconds, by the wall clock; infinite where that stepped back. */
  readonly silenceMs: number
  /** From when on a ping is needed, in milliseconds. */
  readonly pingAfterMs: number
  /** In milliseconds since the epoch. */
  readonly deadlineMs: number
}

/** What an invocation can wait for whatever its deadline, in milliseconds. */
const shortMs = 50

/**
 * Waits until a session is restored, asks it for a sign of life where it has been silent for long, and tells
 * the observers where it gave one.
 *
 * @returns Why it cannot be used; `undefined` where the server answered within a second, or within half of
 * the time that is left: the rest is for a new connection.
 */
export async function checkSession(
  access: Access,
  session: Session,
  { silenceMs, pingAfterMs, deadlineMs }: Silence,
): Promise<ConnectionClosedReason | undefined> {
  const startedMs = performance.now()
  const isSilent = silenceMs >= pingAfterMs
  // One that has just been used is worth waiting for even where there is no time to connect.
  const timeMs = Math.max(isSilent ? 0 : shortMs, (deadlineMs - Date.now()) / 2)
  const answer = async (): Promise<boolean> => {
    const isRestored = await (session.restoration ?? true)
    if (isRestored && isSilent) await session.ping()
    return isRestored
  }
  try {
    if (!(await withinAnswerTime(answer(), timeMs))) return session.isUsable() ? 'not-restored' : 'lost'
  } catch {
    return isSilent ? 'silent' : 'not-restored'
  }
  if (isSilent) access.emit({ event: 'connection:checked', silenceMs, durationMs: elapsedMs(startedMs) })
  return undefined
}

/**
 * How long a check may take in milliseconds before another connection is begun beside it.
 *
 * @param connectMs How long it took to connect: five round trips or more, so that a third of it is more
 * than a healthy network needs for one.
 * @param isSilent Whether the flow may be lost. One that has just been used is, but for a rollback that takes
 * its time, worth waiting for.
 */
export function patienceMs(connectMs: number, isSilent: boolean): number {
  return isSilent ? Math.min(100, Math.max(30, connectMs / 3)) : 250
}

/** Whether a promise has settled within a time, or by what has arrived by then. Never rejects. */
export async function endsWithin(promise: Promise<unknown>, timeMs: number): Promise<boolean> {
  let hasEnded = false
  const ended = promise.then(
    () => {
      hasEnded = true
    },
    () => {
      hasEnded = true
    },
  )
  await withDeadline(ended, timeMs, () => new Error('late')).catch(() => {})
  // A process that was busy itself finds the answer beside its timer.
  if (!hasEnded) await settle()
  return hasEnded
}
