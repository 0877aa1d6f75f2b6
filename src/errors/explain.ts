import type { Failure, FailureContext, Pattern, TokenUse } from './failure.ts'
import { localFailures, networkFailures, tlsFailures } from './network-failures.ts'
import { RdsIamError, type RdsIamErrorCode } from './rds-iam-error.ts'
import { formatTarget } from './target.ts'

/** What was tried when it failed. */
export interface Attempt extends FailureContext {
  /** What the engine's server and driver fail with. */
  readonly failures: readonly Failure[]
  /** How often and how long it was tried, where more than once: `7 attempts in 4.8 s`. */
  readonly effort?: string | undefined
}

/** What a failure means. */
export interface Explanation {
  readonly code: RdsIamErrorCode
  /** What was observed, in the words of the server, the driver or Node. */
  readonly observed: string
  /** What it means and what to check first, where that is known. */
  readonly remedy: string | undefined
}

/**
 * Turns the failure of an attempt to connect into one error: what was attempted, what was observed, what to
 * check.
 */
export function explain(cause: unknown, attempt: Attempt): RdsIamError {
  if (cause instanceof RdsIamError) return cause
  const { code, observed, remedy } = findExplanation(cause, attempt)
  return new RdsIamError(code, `${introduce(attempt)}${observed}.`, { cause, remedy })
}

/** Says what a failure means, also where it is an error of this package already. */
export function findExplanation(cause: unknown, attempt: Attempt): Explanation {
  if (cause instanceof RdsIamError) return unfold(cause, attempt)
  const { code, message } = readFailure(cause)
  const failure = findFailure(cause, attempt.failures, attempt.token)
  const remedy = typeof failure?.check === 'function' ? failure.check(attempt, message) : failure?.check
  const observed = code === undefined || message.includes(code) ? message : `${message} (${code})`
  return { code: failure?.code ?? unknownFailure(code), observed, remedy }
}

/**
 * The kind of a failure, where it is known.
 *
 * @param token What became of the token, where that is known.
 */
export function findFailure(
  cause: unknown,
  failures: readonly Failure[],
  token?: TokenUse,
): Failure | undefined {
  const { code, message } = readFailure(cause)
  // The first that matches is taken.
  const known = [...tlsFailures, ...failures, ...localFailures, ...networkFailures]
  return known.find(({ patterns }) => patterns.some(pattern => matches(pattern, code, message, token)))
}

function introduce(attempt: Attempt): string {
  const effort = attempt.effort === undefined ? '' : ` after ${attempt.effort}`
  return `Could not connect as ${formatTarget(attempt)}${effort}: `
}

/** The parts of a message. */
function unfold({ code, message, remedy }: RdsIamError, attempt: Attempt): Explanation {
  const introduction = introduce(attempt)
  const end = remedy === undefined ? message.length : -remedy.length - 1
  const start = message.startsWith(introduction) ? introduction.length : 0
  return { code, observed: message.slice(start, end).replace(/\.$/, ''), remedy }
}

/**
 * The SQLSTATE under which PgBouncer says whatever it has to say, and before 1.20 passed on the server's words
 * too: protocol_violation.
 */
const passedOn = '08P01'

function matches(
  { codes, message: words, token: use }: Pattern,
  code: string | undefined,
  message: string,
  token: TokenUse | undefined,
): boolean {
  const hasCode = codes === undefined || (code !== undefined && codes.includes(code))
  // What a pooler passes on under another code is the server's all the same, where the words say so.
  const isPassedOn = code === passedOn && words !== undefined
  return (
    (hasCode || isPassedOn) &&
    (words === undefined || words.test(message)) &&
    (use === undefined || use === token)
  )
}

function readFailure(cause: unknown): { code: string | undefined; message: string } {
  if (!(cause instanceof Error)) return { code: undefined, message: String(cause) }
  const { code } = cause as { code?: unknown }
  // Node tries every address of a name; the collected error has no message of its own.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : undefined
  // OpenSSL's messages end with a line break.
  const message = (cause.message || (first instanceof Error ? first.message : cause.name)).trim()
  return { code: typeof code === 'string' ? code : undefined, message }
}

/**
 * An error that no rule knows: a server that answers with a code of its own was reached, and had something
 * else to say.
 */
function unknownFailure(code: string | undefined): RdsIamErrorCode {
  const isServers = code !== undefined && /^(?=.*\d)[0-9A-Z]{5}$|^ER_/.test(code)
  return isServers ? 'RDS_IAM_DATABASE' : 'RDS_IAM_UNREACHABLE'
}
