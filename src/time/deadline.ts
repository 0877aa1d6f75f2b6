/** How long a small answer may take, in milliseconds: far more than a round trip inside a VPC. */
const answerTimeoutMs = 1_000

/**
 * Waits for a promise, but no longer than a time.
 *
 * @param late Makes the error for the case that the time is over first. The promise's own outcome is then
 * ignored.
 */
export function withDeadline<T>(promise: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), Math.max(0, timeoutMs))
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Waits for a server's answer to a small request, such as a ping. */
export function withinAnswerTime<T>(answer: Promise<T>, timeoutMs = answerTimeoutMs): Promise<T> {
  return withDeadline(answer, Math.min(timeoutMs, answerTimeoutMs), () => new Error('no answer'))
}
