import type { Access } from '../access/access.ts'
import { beginEffort, type Effort, explainEffort } from '../retries/effort.ts'
import type { Asker } from '../retries/retry.ts'
import { withDeadline } from '../time/deadline.ts'

/** The connection that is opened ahead of the first invocation. */
export interface Prefetch {
  /**
   * Begins to connect.
   *
   * @param deadlineMs Until when it may last, in milliseconds since the epoch.
   * @param connect What it fails with is its own: an invocation tries for itself. It counts its attempts.
   */
  begin(deadlineMs: number, connect: (effort: Effort) => Promise<unknown>): void
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
   * @param asker Who waits, and when it has to give up.
   * @param late What to reject with then, unless the prefetch has seen a failure itself.
   */
  wait(asker: Asker, late: () => Error): Promise<boolean>
  /**
   * What it tried in vain, for an invocation that has waited for it and goes on; `undefined` where it has
   * not failed.
   */
  failedEffort(): Effort | undefined
  /** No longer waits for it. */
  forget(): void
}

export function createPrefetch(access: Access): Prefetch {
  let running: Promise<void> | undefined
  let endsMs = 0
  let effort = beginEffort(0)
  let hasFailed = false

  return {
    begin(deadlineMs, connect) {
      endsMs = deadlineMs
      effort = beginEffort(Date.now())
      const end = (isFailure: boolean): void => {
        if (running !== own) return
        running = undefined
        hasFailed = isFailure
      }
      const own = connect(effort).then(
        () => end(false),
        () => end(true),
      )
      running = own
    },
    isPending: () => running !== undefined && endsMs > Date.now(),
    isStale: () => running !== undefined && endsMs <= Date.now(),
    async wait({ deadlineMs, account }, late) {
      if (running === undefined) return true
      const explain = (): Error =>
        effort.attempts === 0 ? late() : explainEffort(access, effort, { account, nowMs: Date.now(), late })
      const waiting = withDeadline(running, Math.min(deadlineMs, endsMs) - Date.now(), explain)
      await (endsMs < deadlineMs ? waiting.catch(() => {}) : waiting)
      return running === undefined
    },
    // Invocations that overlap go on by themselves.
    failedEffort: () => (hasFailed ? { ...effort } : undefined),
    forget() {
      running = undefined
    },
  }
}
