import { report } from '../events/emit.ts'
import type { Settings } from '../options/settings.ts'
import { withinAnswerTime } from '../time/deadline.ts'
import type { Driver } from './driver.ts'

/** What is needed of a driver to put a session back. */
export type SessionDriver<Connection> = Pick<
  Driver<Connection>,
  'isInTransaction' | 'whenReady' | 'ping' | 'rollback' | 'reset'
>

/** Whether a session can be lent again as it is, without asking the server for anything. */
export function isClean<Connection>(
  driver: SessionDriver<Connection>,
  connection: Connection,
  { resetSession }: Settings,
): boolean {
  if (resetSession) return false
  const ready = driver.whenReady(connection)
  // Whoever restores the session hears of a connection that is lost meanwhile.
  ready?.catch(() => {})
  if (ready !== undefined) return false
  return driver.isInTransaction(connection) === false
}

/**
 * Puts the session of a connection back for its next user: rolls back a transaction that was left open, and resets what else the
 * handler changed, where that is to be done. Rejects where the connection cannot be used any more.
 */
export async function restoreSession<Connection>(
  driver: SessionDriver<Connection>,
  connection: Connection,
  settings: Settings,
): Promise<void> {
  const ready = driver.whenReady(connection)
  if (ready !== undefined) await withinAnswerTime(ready)
  if (driver.isInTransaction(connection) === undefined) await withinAnswerTime(driver.ping(connection))
  if (driver.isInTransaction(connection)) {
    report(settings, { event: 'transaction:rolled-back' })
    await withinAnswerTime(driver.rollback(connection))
  }
  if (settings.resetSession) await withinAnswerTime(driver.reset(connection))
}

/** What the handler holds of a pool, and what it gave back and is being put in order. */
export interface PoolSessions<Connection> {
  readonly lent: Set<Connection>
  readonly restoring: Set<Promise<unknown>>
  /** One for each time that the handler waits for a connection. */
  readonly waiting: Set<object>
}

const sessions = new WeakMap<object, PoolSessions<unknown>>()

export function sessionsOf<Connection>(pool: object): PoolSessions<Connection> {
  const known = sessions.get(pool) ?? { lent: new Set(), restoring: new Set(), waiting: new Set() }
  sessions.set(pool, known)
  return known as PoolSessions<Connection>
}

/** Forgets whatever of the handler's waits for a connection, and says how many they were. */
export function forgetWaiting(pool: object): number {
  const { waiting } = sessionsOf(pool)
  const count = waiting.size
  waiting.clear()
  return count
}

/** Remembers a session of a pool until it is put back. */
export function noteRestoring(pool: object, restoration: Promise<unknown>): void {
  const { restoring } = sessionsOf(pool)
  restoring.add(restoration)
  restoration.finally(() => restoring.delete(restoration))
}

/** Ends when every session that the handler gave back to a pool is put back; nothing where all are. */
export function whenRestored(pool: object): Promise<unknown> | undefined {
  const { restoring } = sessionsOf(pool)
  return restoring.size === 0 ? undefined : Promise.all(restoring)
}
