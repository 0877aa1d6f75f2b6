import type { Access } from '../access/access.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import { turn } from '../time/freeze.ts'
import type { Session } from './driver.ts'

/** Who looks after a connection that is given back. */
export interface Keeper {
  readonly access: Access
  /** Whether the session's state is put back. */
  readonly reset: boolean
  /** Keeps the connection for its next user. */
  keep(): void
  /** Closes the connection. */
  discard(reason: ConnectionClosedReason): void
}

/**
 * Decides what becomes of a connection that its user gave back, and tells the observers where that is its
 * end: it is kept, and restored where it has to be, or it is closed. Nothing is waited for: what restores it
 * is sent at the end of this turn of the event loop, and its next user waits for the answer.
 *
 * @param reason Why it is to be closed in any case.
 */
export function returnSession(session: Session, keeper: Keeper, reason?: ConnectionClosedReason): void {
  const end = reason ?? findEnd(session)
  if (end !== undefined) {
    keeper.discard(end)
    keeper.access.emit({ event: 'connection:closed', reason: end, connections: 1 })
    return
  }
  session.leave()
  restoreSession(session, keeper, afterResponse())
  keeper.keep()
}

/**
 * What to wait for, so that a restored session delays no response: the runtime sends that in the turn of the
 * event loop in which the handler ends. The process is frozen later, when it has heard that the response
 * arrived, and has asked for the next event.
 *
 * @see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
export const afterResponse = turn

/** Why a session cannot be used again, if it cannot. */
function findEnd(session: Session): ConnectionClosedReason | undefined {
  if (!session.isUsable()) return 'ended'
  return session.isBusy() ? 'query-running' : undefined
}

/**
 * Restores a session where it is not as it was after connecting.
 *
 * @param before What to wait for before anything is sent; an earlier restoration is sent before in any case.
 */
export function restoreSession(
  session: Session,
  { access, reset }: Pick<Keeper, 'access' | 'reset'>,
  before?: Promise<void>,
): void {
  // What is being restored has been rolled back.
  const inTransaction = session.restoration === undefined ? session.isInTransaction() : false
  const isReset = reset && session.isTouched()
  if (inTransaction === false && !isReset && !session.isEnding()) return
  if (inTransaction) access.emit({ event: 'transaction:rolled-back' })
  const earlier = session.restoration
  // An earlier one may not be sent yet. What PostgreSQL resets inside a transaction, the rollback would undo.
  const sent = before ?? (earlier === undefined ? undefined : afterResponse())
  const restored = session.restore({ rollback: inTransaction !== false, reset: isReset, before: sent })
  const restoration = restored.then(
    async wasOpen => {
      if (wasOpen) access.emit({ event: 'transaction:rolled-back' })
      if (!session.canReset()) tellNotReset(access)
      return earlier === undefined || (await earlier)
    },
    () => false,
  )
  session.restoration = restoration
  void restoration.then(isRestored => {
    if (isRestored && session.restoration === restoration) session.restoration = undefined
  })
}

// Those that were told of.
const cannotReset = new WeakSet<Access>()

function tellNotReset(access: Access): void {
  if (cannotReset.has(access)) return
  cannotReset.add(access)
  access.emit({ event: 'session:not-reset', reason: 'server' })
}
