import type { Access } from '../access/access.ts'
import { withinAnswerTime } from '../time/deadline.ts'
import { elapsedMs } from '../time/elapsed.ts'
import type { Session } from './driver.ts'

/** How long a connection has been silent, and until when its user can wait. */
export interface Silence {
  /** In milliseconds, by the wall clock; infinite where that stepped back. */
  readonly silenceMs: number
  /** In milliseconds since the epoch. */
  readonly deadlineMs: number
}

/**
 * Asks a connection for a sign of life, and tells the observers where it gave one.
 *
 * @returns Whether the server answered within a second, or within half of the time that is left: the rest is
 * for a new connection.
 */
export async function checkSession(
  access: Access,
  session: Session,
  { silenceMs, deadlineMs }: Silence,
): Promise<boolean> {
  const startedMs = performance.now()
  try {
    await withinAnswerTime(session.ping(), (deadlineMs - Date.now()) / 2)
  } catch {
    return false
  }
  access.emit({ event: 'connection:checked', silenceMs, durationMs: elapsedMs(startedMs) })
  return true
}
