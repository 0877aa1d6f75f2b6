import type { Access } from '../access/access.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import { withinAnswerTime } from '../time/deadline.ts'
import type { Session } from './driver.ts'

/** Who looks after a connection that is given back. */
export interface Keeper {
  readonly access: Access
  readonly settings: Pick<ConnectionSettings, 'resetSession'>
  /** Keeps the connection for its next user. */
  keep(): void
  /** Does again to the session what its user does to every new one. */
  onReset?(): unknown
  /** Closes the connection. */
  discard(reason: ConnectionClosedReason): void
}

/**
 * Decides what becomes of a connection that its user gave back, and tells the observers where that is its
 * end: it is kept as it is, it is restored first, or it is closed.
 *
 * @param reason Why it is to be closed in any case.
 * @returns Resolves when it is restored; `undefined` where nothing has to be waited for.
 */
export function returnSession(
  session: Session,
  keeper: Keeper,
  reason?: ConnectionClosedReason,
): Promise<void> | undefined {
  const close = (reason: ConnectionClosedReason): undefined => {
    keeper.discard(reason)
    keeper.access.emit({ event: 'connection:closed', reason, connections: 1 })
  }
  if (reason !== undefined) return close(reason)
  if (!session.isUsable()) return close('ended')
  if (session.isBusy()) return close('query-running')
  if (!isClean(session, keeper)) {
    return restore(session, keeper).then(
      () => keeper.keep(),
      () => close('not-restored'),
    )
  }
  keeper.keep()
  return undefined
}

/** Whether the session can be used again as it is, without asking the server for anything. */
function isClean(session: Session, { settings }: Keeper): boolean {
  if (settings.resetSession) return false
  const ready = session.whenReady()
  // Restoring the session will tell of a connection that is lost meanwhile.
  ready?.catch(() => {})
  return ready === undefined && session.isInTransaction() === false
}

/**
 * Rolls back a transaction that was left open, and resets the session where that is wanted. Rejects where the
 * server does not answer.
 */
async function restore(session: Session, { access, settings, onReset }: Keeper): Promise<void> {
  const ready = session.whenReady()
  if (ready !== undefined) await withinAnswerTime(ready)
  if (session.isInTransaction() === undefined) await withinAnswerTime(session.ping())
  if (session.isInTransaction()) {
    access.emit({ event: 'transaction:rolled-back' })
    await withinAnswerTime(session.rollback())
  }
  if (!settings.resetSession) return
  await withinAnswerTime(session.reset())
  if (onReset !== undefined) await withinAnswerTime(Promise.resolve(onReset()))
}
