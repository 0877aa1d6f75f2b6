import type { RdsIamError } from '../errors/rds-iam-error.ts'
import { withDeadline } from '../time/deadline.ts'

/** The connection that is opened ahead of the first invocation. */
export interface Prefetch {
  /**
   * Begins to connect.
   *
   * @param deadlineMs Until when it may last, in milliseconds since the epoch.
   * @param connect What it fails with is its own: an invocation tries for itself.
   */
  begin(deadlineMs: number, connect: (onRetry: (failure: RdsIamError) => void) => Promise<unknown>): void
  /** Whether it is still under way, and an invocation does well to wait for it. */
  isPending(): boolean
  /**
   * Whether it is still under way after its time. The process was frozen meanwhile, so that its flow may be
   * lost: no invocation waits for it.
   */
  isStale(): boolean
  /**
   * Waits until it has ended or its time is over.
   *
   * @returns Whether it has ended. What has not was frozen in between.
   *
   * @param deadlineMs When the invocation has to give up, in milliseconds since the epoch.
   * @param late What to reject with then, unless the prefetch has seen a failure itself.
   */
  wait(deadlineMs: number, late: () => Error): Promise<boolean>
  /** No longer waits for it. */
  forget(): void
}

export function createPrefetch(): Prefetch {
  let running: Promise<void> | undefined
  let endsMs = 0
  let failure: RdsIamError | undefined

  return {
    begin(deadlineMs, connect) {
      endsMs = deadlineMs
      const onRetry = (retried: RdsIamError): void => {
        failure = retried
      }
      const end = (): void => {
        if (running === own) running = undefined
      }
      const own = connect(onRetry).then(end, end)
      running = own
    },
    isPending: () => running !== undefined && endsMs > Date.now(),
    isStale: () => running !== undefined && endsMs <= Date.now(),
    async wait(deadlineMs, late) {
      if (running === undefined) return true
      const waiting = withDeadline(
        running,
        Math.min(deadlineMs, endsMs) - Date.now(),
        () => failure ?? late(),
      )
      await (endsMs < deadlineMs ? waiting.catch(() => {}) : waiting)
      return running === undefined
    },
    forget() {
      running = undefined
    },
  }
}
