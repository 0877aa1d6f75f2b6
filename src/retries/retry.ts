import { diagnose, findFailure } from '../errors/explain.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import { report } from '../events/emit.ts'
import { attemptOf, type Settings } from '../options/settings.ts'
import { type Pauses, passingPauses, pauseMs, refusedPauses, shortestAttemptMs } from '../time/backoff.ts'
import { type Clock, systemClock } from '../time/clock.ts'
import type { TokenLending } from '../token/attempt-token.ts'

/** On whose behalf a physical connection is opened. */
export interface Asker {
  /** Until when it may wait, in milliseconds since the epoch. */
  readonly deadlineMs: number
  /** The AWS account of the function, where it is known. */
  readonly account: string | undefined
  /** Hears of every failure that is tried again. */
  readonly onRetry?: (failure: RdsIamError) => void
}

/**
 * Decides what follows a failed attempt to open a physical connection: ends when the next one may begin.
 *
 * @param error What the driver failed with.
 * @param lending The token of the attempt that failed.
 * @throws {RdsIamError} where there is to be no other attempt: what it failed with, how often and how long it was tried.
 */
export type Retry = (error: unknown, lending: TokenLending) => Promise<void>

/**
 * Begins to count the attempts to open one physical connection. What passes by itself is tried again with full jitter until the
 * deadline; a refused token sparingly, because throttling is refused in the same words as a wrong policy; anything else not at all.
 */
export function createRetry(settings: Settings, asker: Asker, clock: Clock = systemClock): Retry {
  const { retryRefused } = settings
  const startedMs = clock.now()
  const pauses = new Map<Pauses, number>()
  let attempts = 0
  let refusals = 0
  let isReplaced = false
  let isShortened = false
  let previous: unknown

  const explain = (error: unknown): RdsIamError => {
    const seconds = ((clock.now() - startedMs) / 1_000).toFixed(1)
    const effort = attempts > 1 ? `${attempts} attempts in ${seconds} s` : undefined
    return diagnose(error, { ...attemptOf(settings, asker.account), effort })
  }

  /** How to go on after a failure, if at all. */
  const choosePauses = (error: unknown): Pauses | undefined => {
    const passes = error instanceof RdsIamError ? undefined : findFailure(error, settings)?.passes
    if (passes === 'soon') return passingPauses
    return passes === 'perhaps' && retryRefused ? refusedPauses : undefined
  }

  /** The pause before the next attempt; nothing where that would come too late. */
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
    report(settings, { event: 'connection:failed', code: error.code, durationMs, error })
    return error
  }

  const tellRetry = (error: RdsIamError, delayMs: number): void =>
    report(settings, {
      event: 'connection:retried',
      code: error.code,
      attempt: attempts,
      delayMs,
      refusals,
      error,
    })

  return async (error, lending) => {
    attempts += 1
    const cause = explainDelay(error, lending)
    const failure = explain(cause)
    const isRefused = failure.code === 'RDS_IAM_ACCESS_DENIED'
    // One signed earlier may have been refused for its age.
    if (isRefused && lending.refuse() && !isReplaced) {
      isReplaced = true
      return tellRetry(failure, 0)
    }
    const kind = choosePauses(cause)
    // What the time did not suffice for says less than what went before.
    if (kind === undefined)
      throw fail(attempts > 1 && isForTime(failure, asker, clock) ? explain(previous ?? cause) : failure)
    const delayMs = choosePause(kind)
    if (delayMs === undefined) throw fail(failure)
    if (isRefused) refusals += 1
    tellRetry(failure, delayMs)
    previous = cause
    asker.onRetry?.(failure)
    await clock.sleep(delayMs)
  }
}

/** A server that is kept waiting for the token is not to blame. */
function explainDelay(error: unknown, lending: TokenLending): unknown {
  if (!lending.isAwaited() || error instanceof RdsIamError) return error
  return new Error('signing did not finish in time', { cause: error })
}

/** Whether an attempt failed because its time was over. A timer may be a little early by the wall clock. */
function isForTime({ code }: RdsIamError, { deadlineMs }: Asker, clock: Clock): boolean {
  return code === 'RDS_IAM_UNREACHABLE' && clock.now() >= deadlineMs - 20
}
