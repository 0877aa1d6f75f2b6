import type { Access } from '../access/access.ts'
import type { KnownRefusals } from '../access/refusals.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import {
  type Pauses,
  passingPauses,
  pauseMs,
  refusedPauses,
  shortestAttemptMs,
  spacedPauses,
} from '../time/backoff.ts'
import { type Clock, systemClock } from '../time/clock.ts'
import type { AttemptToken } from '../token/attempt-token.ts'
import { beginEffort, type Cause, describeEffort, type Effort, rememberRefusals } from './effort.ts'

/** On whose behalf a physical connection is opened. */
export interface Asker {
  /** Until when it may wait, in milliseconds since the epoch. */
  readonly deadlineMs: number
  /** The AWS account of the function, where it is known. */
  readonly account: string | undefined
  /** The silence in milliseconds before which a connection needs no check, because it has just been checked. */
  readonly quietMs?: number
  /** Whether it is nobody's yet: no invocation waits, and each looks for a writer in its own time. */
  readonly isAhead?: boolean
  /** What was tried for it before, which goes on. @default nothing was */
  readonly effort?: Effort | undefined
}

/** What retrying takes. */
export interface RetryParts {
  readonly access: Access
  readonly settings: Pick<ConnectionSettings, 'retryRefused'>
  /** @default the system's */
  readonly clock?: Clock | undefined
  /** Whether the caller has another connection to fall back on, so that giving up is no failure to tell of. */
  readonly hasFallback?: () => boolean
}

/** Decides what follows an attempt to open a physical connection. */
export interface Retry {
  /** Resolves when the first attempt may begin; `undefined` where it may at once. */
  beforeFirst(): Promise<void> | undefined
  /**
   * Resolves when the attempt after one that failed may begin.
   *
   * @param error What the driver failed with.
   * @param token The token of the attempt that failed.
   * @throws {RdsIamError} where there is to be no other attempt: what it failed with, how often and how long it
   * was tried.
   */
  afterFailure(error: unknown, token: AttemptToken): Promise<void>
  /** Counts and tells of an attempt that another one overtakes, because it has been silent for a time. */
  afterSilence(silentMs: number): void
  /** Takes note of what an attempt that was overtaken failed with in the end. */
  afterOvertaken(error: unknown, token: AttemptToken | undefined): void
}

/** Begins to count the attempts to open one physical connection. */
export function createRetry(parts: RetryParts, asker: Asker): Retry {
  const { access, settings, clock = systemClock } = parts
  const { refusals } = access
  const { effort = beginEffort(clock.now()) } = asker
  const startedMs = clock.now()
  // Who was refused for a whole budget before, and not let in since, tries once.
  const before = refusals.known()
  const pauses = new Map<Pauses, number>()
  let isReplaced = false
  let isShortened = false

  const explain = ({ error, use }: Cause, detail = describeEffort(effort, clock.now())): RdsIamError =>
    access.explain(error, { account: asker.account, effort: detail, token: use })

  /** The error after the only attempt. Who waited for many more before hears of those. */
  const explainOnce = (cause: Cause, { count, sinceMs }: KnownRefusals): RdsIamError => {
    if (effort.refusals > 1) return explain(cause)
    const tried = describeEffort(effort, clock.now()) ?? '1 attempt'
    const since = new Date(sinceMs).toISOString()
    return explain(cause, `${tried} and no more, because ${count} were refused since ${since}`)
  }

  /** How to go on after a failure, if at all. */
  const choosePauses = ({ error, use }: Cause): Pauses | undefined => {
    const passes = error instanceof RdsIamError ? undefined : access.findFailure(error, use)?.passes
    if (passes === 'soon') return passingPauses
    return passes === 'perhaps' && settings.retryRefused ? refusedPauses : undefined
  }

  /** The pause before the next attempt; `undefined` where the next one would come too late. */
  const choosePause = (kind: Pauses): number | undefined => {
    const index = pauses.get(kind) ?? 0
    pauses.set(kind, index + 1)
    const leftMs = asker.deadlineMs - shortestAttemptMs - clock.now()
    if (leftMs <= 0) return undefined
    const delayMs = pauseMs(kind, index, clock.random())
    if (delayMs <= leftMs) return delayMs
    // Once more in the time that is left, at a random moment too: others have the same deadline.
    if (isShortened) return undefined
    isShortened = true
    return Math.floor(clock.random() * leftMs)
  }

  const fail = (error: RdsIamError): RdsIamError => {
    const durationMs = Math.round(clock.now() - startedMs)
    if (!parts.hasFallback?.())
      access.emit({ event: 'connection:failed', code: error.code, durationMs, error })
    return error
  }

  /** What to fail with when the time is over. */
  const failForTime = (error: RdsIamError): RdsIamError => {
    rememberRefusals(access, effort, clock.now())
    return fail(error)
  }

  const tellRetry = (error: RdsIamError, delayMs: number): void =>
    access.emit({
      event: 'connection:retried',
      code: error.code,
      attempt: effort.attempts,
      delayMs,
      refusals: effort.refusals,
      error,
    })

  /** What there is no time for says less than what went before. */
  const failFor = (cause: Cause, failure: RdsIamError): RdsIamError => {
    if (effort.attempts < 2 || !isForTime(failure, asker, clock)) {
      effort.isRefusedAlone = false
      return fail(failure)
    }
    if (effort.unanswered > 0) effort.unanswered += 1
    return failForTime(explain(effort.cause ?? cause))
  }

  return {
    beforeFirst() {
      if (before === undefined) return undefined
      const nowMs = clock.now()
      const spacedMs = before.latestMs + pauseMs(spacedPauses, 0, clock.random()) - nowMs
      const delayMs = Math.min(spacedMs, (asker.deadlineMs - nowMs) / 2)
      return delayMs > 0 ? clock.sleep(delayMs) : undefined
    },

    async afterFailure(error, token) {
      effort.attempts += 1
      const cause = { error: explainDelay(error, token), use: token.use() }
      const failure = explain(cause)
      const kind = choosePauses(cause)
      const isRefused = failure.code === 'RDS_IAM_ACCESS_DENIED'
      // One signed earlier may have been refused for its age; one that an overlapping attempt has signed was not.
      if (isRefused && token.refuse() && !isReplaced && before === undefined) {
        isReplaced = true
        return tellRetry(failure, 0)
      }
      if (kind === undefined) throw failFor(cause, failure)
      if (kind === refusedPauses) {
        effort.refusals += 1
        refusals.add(clock.now())
        if (before !== undefined) throw fail(explainOnce(cause, before))
      } else {
        effort.isRefusedAlone = false
      }
      const delayMs = choosePause(kind)
      if (delayMs === undefined) throw failForTime(failure)
      tellRetry(failure, delayMs)
      effort.cause = cause
      const pause = clock.sleep(delayMs)
      await (kind === refusedPauses ? refusals.orKnown(pause) : pause)
      // Somebody else's time was used up meanwhile.
      if (kind === refusedPauses && refusals.known() !== undefined) throw fail(explain(cause))
    },

    afterSilence(silentMs) {
      effort.attempts += 1
      effort.unanswered += 1
      effort.isRefusedAlone = false
      const silence = new Error(
        `no connection within ${Math.round(silentMs)} ms; another attempt goes beside it`,
      )
      tellRetry(explain({ error: silence, use: undefined }), 0)
    },

    afterOvertaken(error, token) {
      const cause = { error, use: token?.use() }
      const failure = explain(cause)
      if (isForTime(failure, asker, clock)) return
      effort.unanswered -= 1
      effort.cause = cause
      if (failure.code === 'RDS_IAM_ACCESS_DENIED') token?.refuse()
    },
  }
}

/** A server that is kept waiting for the token is not to blame. */
function explainDelay(error: unknown, token: AttemptToken): unknown {
  if (!token.isAwaited() || error instanceof RdsIamError) return error
  return new Error('signing did not finish in time', { cause: error })
}

/** Whether an attempt failed because its time was over. A timer may be a little early by the wall clock. */
function isForTime({ code }: RdsIamError, { deadlineMs }: Asker, clock: Clock): boolean {
  return code === 'RDS_IAM_UNREACHABLE' && clock.now() >= deadlineMs - 20
}
