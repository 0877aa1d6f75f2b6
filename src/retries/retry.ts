import type { Access } from '../access/access.ts'
import type { TokenUse } from '../errors/failure.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import { type Pauses, passingPauses, pauseMs, refusedPauses, shortestAttemptMs } from '../time/backoff.ts'
import { type Clock, systemClock } from '../time/clock.ts'
import type { AttemptToken } from '../token/attempt-token.ts'

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
  /** Hears of every failure that is tried again. */
  readonly onRetry?: (failure: RdsIamError) => void
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

/** How one attempt ended. */
export type Attempted<Connection> =
  | { readonly connection: Connection }
  | {
      /** What the driver failed with. */
      readonly error: unknown
      /**
       * The token of the attempt; `undefined` where the failure is not about opening a physical connection.
       */
      readonly token: AttemptToken | undefined
    }

/**
 * Repeats attempts to open one physical connection, until one succeeds or no further one makes sense. What
 * passes by itself is tried again with full jitter until the deadline; a refused token sparingly, because
 * throttling is refused in the same words as a wrong policy; anything else not at all.
 *
 * @throws {RdsIamError} What the last attempt failed with, and how often and how long it was tried.
 */
export async function openWithRetries<Connection>(
  parts: RetryParts,
  asker: Asker,
  attempt: () => Promise<Attempted<Connection>>,
): Promise<Connection> {
  const retry = createRetry(parts, asker)
  for (;;) {
    const attempted = await attempt()
    if ('connection' in attempted) return attempted.connection
    const { error, token } = attempted
    if (token === undefined) throw parts.access.explain(error, asker)
    await retry(error, token)
  }
}

/**
 * Decides what follows a failed attempt to open a physical connection: resolves when the next one may begin.
 *
 * @param error What the driver failed with.
 * @param token The token of the attempt that failed.
 * @throws {RdsIamError} where there is to be no other attempt: what it failed with, how often and how long it
 * was tried.
 */
export type Retry = (error: unknown, token: AttemptToken) => Promise<void>

/** Begins to count the attempts to open one physical connection. */
export function createRetry(parts: RetryParts, asker: Asker): Retry {
  const { access, settings, clock = systemClock } = parts
  const startedMs = clock.now()
  const pauses = new Map<Pauses, number>()
  let attempts = 0
  let refusals = 0
  let isReplaced = false
  let isShortened = false
  let previous: { readonly cause: unknown; readonly use: TokenUse } | undefined

  const explain = (error: unknown, use: TokenUse): RdsIamError => {
    const seconds = ((clock.now() - startedMs) / 1_000).toFixed(1)
    const effort = attempts > 1 ? `${attempts} attempts in ${seconds} s` : undefined
    return access.explain(error, { account: asker.account, effort, token: use })
  }

  /** How to go on after a failure, if at all. */
  const choosePauses = (error: unknown, use: TokenUse): Pauses | undefined => {
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

  const tellRetry = (error: RdsIamError, delayMs: number): void =>
    access.emit({
      event: 'connection:retried',
      code: error.code,
      attempt: attempts,
      delayMs,
      refusals,
      error,
    })

  return async (error, token) => {
    attempts += 1
    const cause = explainDelay(error, token)
    const use = token.use()
    const failure = explain(cause, use)
    const isRefused = failure.code === 'RDS_IAM_ACCESS_DENIED'
    // One signed earlier may have been refused for its age.
    if (isRefused && token.refuse() && !isReplaced) {
      isReplaced = true
      return tellRetry(failure, 0)
    }
    const kind = choosePauses(cause, use)
    // What the time did not suffice for says less than what went before.
    if (kind === undefined) {
      const last = isForTime(failure, asker, clock) ? previous : undefined
      throw fail(last === undefined ? failure : explain(last.cause, last.use))
    }
    const delayMs = choosePause(kind)
    if (delayMs === undefined) throw fail(failure)
    if (isRefused) refusals += 1
    tellRetry(failure, delayMs)
    previous = { cause, use }
    asker.onRetry?.(failure)
    await clock.sleep(delayMs)
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
