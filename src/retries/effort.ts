import type { Access } from '../access/access.ts'
import type { TokenUse } from '../errors/failure.ts'
import type { RdsIamError } from '../errors/rds-iam-error.ts'

/** What an attempt failed with, and what had become of its token by then. */
export interface Cause {
  readonly error: unknown
  readonly use: TokenUse | undefined
}

/** What was tried so far to open one physical connection. It goes on with whoever waited for it in vain. */
export interface Effort {
  /** In milliseconds since the epoch. */
  readonly startedMs: number
  /** Attempts that failed, or that another one overtook. */
  attempts: number
  /** How many of them had no answer when another one overtook them. */
  unanswered: number
  /** How many fresh tokens the server refused in words that throttling has too. */
  refusals: number
  /** Whether nothing went wrong but that tokens were refused. */
  isRefusedAlone: boolean
  /** What the latest attempt failed with, if one has. */
  cause: Cause | undefined
}

export function beginEffort(startedMs: number): Effort {
  return { startedMs, attempts: 0, unanswered: 0, refusals: 0, isRefusedAlone: true, cause: undefined }
}

/** How often and how long it was tried, where more than once: `7 attempts in 4.8 s`. */
export function describeEffort(
  { startedMs, attempts, unanswered }: Effort,
  nowMs: number,
): string | undefined {
  if (attempts < 2) return undefined
  const answers = unanswered === 0 ? '' : `, ${unanswered} of them without an answer`
  return `${attempts} attempts in ${((nowMs - startedMs) / 1_000).toFixed(1)} s${answers}`
}

/** The error for whoever waited for an effort, and can wait no longer. */
export function explainEffort(
  access: Access,
  effort: Effort,
  { account, nowMs, late }: { readonly account: string | undefined; nowMs: number; late: () => Error },
): RdsIamError {
  rememberRefusals(access, effort, nowMs)
  return access.explain(effort.cause?.error ?? late(), {
    account,
    effort: describeEffort(effort, nowMs),
    token: effort.cause?.use,
  })
}

/** Remembers that refusals alone have used up the time of an effort. One alone may be a moment's throttling. */
export function rememberRefusals(access: Access, effort: Effort, nowMs: number): void {
  const { isRefusedAlone, refusals: count, startedMs: sinceMs } = effort
  if (isRefusedAlone && count > 1 && access.refusals.known() === undefined)
    access.refusals.remember({ count, sinceMs, latestMs: nowMs })
}
