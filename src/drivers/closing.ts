import { RdsIamError } from '../errors/rds-iam-error.ts'
import { formatTarget, type Target } from '../errors/target.ts'
import { withDeadline } from '../time/deadline.ts'

/** How long in milliseconds closing waits for what is in use. */
const defaultTimeMs = 5_000

/** The end of a pool, or of what keeps connections for invocations. */
export interface Closing {
  isClosed(): boolean
  /** What to tell those who ask for a connection afterwards. */
  error(target: Target): RdsIamError
  /** Called whenever something that was in use no longer is. */
  check(): void
  /**
   * Waits until nothing is in use any more, but not for long, and ends the rest. A second time is the same
   * time.
   */
  close(end: () => Promise<unknown>, timeMs?: number): Promise<void>
}

/** @param isUnused Whether nothing is in use now. */
export function createClosing(isUnused: () => boolean): Closing {
  const { promise: unused, resolve } = Promise.withResolvers<void>()
  let closed: Promise<void> | undefined
  const check = (): void => {
    if (closed !== undefined && isUnused()) resolve()
  }

  return {
    isClosed: () => closed !== undefined,
    error: target =>
      new RdsIamError(
        'RDS_IAM_CLOSED',
        `The pool or middleware was closed; no connection is opened to ${formatTarget(target)}.`,
        {
          remedy: 'Close a pool or a middleware once nothing uses it any more, or make another one.',
        },
      ),
    check,
    close(end, timeMs = defaultTimeMs) {
      if (closed === undefined) {
        closed = withDeadline(unused, timeMs, () => new Error('still in use'))
          .catch(() => {})
          .then(end)
          .then(() => {})
        check()
      }
      return closed
    },
  }
}
