import { withinAnswerTime } from '../deadline.ts'
import type { Settings } from '../settings.ts'
import type { Driver } from './driver.ts'

/** What is needed of a driver to put a session back. */
export type SessionDriver<Connection> = Pick<
  Driver<Connection>,
  'isInTransaction' | 'whenReady' | 'rollback' | 'reset'
>

/** Whether a session can be lent again as it is, without asking the server for anything. */
export function isClean<Connection>(
  driver: SessionDriver<Connection>,
  connection: Connection,
  { resetSession }: Settings,
): boolean {
  return !resetSession && driver.whenReady(connection) === undefined && !driver.isInTransaction(connection)
}

/**
 * Puts the session of a connection back for its next user: rolls back a transaction that was left open, and resets what else the
 * handler changed, where that is to be done. Rejects where the connection cannot be used any more.
 */
export async function restoreSession<Connection>(
  driver: SessionDriver<Connection>,
  connection: Connection,
  { host, logger, resetSession }: Settings,
): Promise<void> {
  const ready = driver.whenReady(connection)
  if (ready !== undefined) await withinAnswerTime(ready)
  if (driver.isInTransaction(connection)) {
    logger?.warn('The handler left a transaction open; it is rolled back', { host })
    await withinAnswerTime(driver.rollback(connection))
  }
  if (resetSession) await withinAnswerTime(driver.reset(connection))
}
