/** How to try again after one kind of failure. */
export interface Pauses {
  /** The longest first pause, in milliseconds; it doubles with every attempt. */
  readonly baseMs: number
  /** The longest pause of all, in milliseconds. */
  readonly capMs: number
}

/**
 * For failures that pass: a server that throttles, is starting up or fails over.
 *
 * The caps come from the simulated storm (`npm run bench -- --storm`), with 1 000 environments against 200
 * connections a second. With pauses of up to a second, all connect within 1.3 times the ideal time, with the
 * fewest attempts. A cap half as long takes half as many attempts more; with one half as long again, some
 * connect too late.
 */
export const passingPauses: Pauses = { baseMs: 100, capMs: 1_000 }

/**
 * For refused tokens: slower from the start, because the cause may be a wrong policy as well as throttling.
 */
export const refusedPauses: Pauses = { baseMs: 400, capMs: 1_000 }

/**
 * The least time that an attempt to connect needs, in milliseconds. Every pause leaves as much before the
 * deadline.
 */
export const shortestAttemptMs = 100

/**
 * The pause before the next attempt, in milliseconds. It is exponential backoff with full jitter:
 * random(0, min(cap, base · 2^n)).
 *
 * @param index How many pauses of this kind there were before.
 * @param chance A random number from 0 up to 1.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
export function pauseMs({ baseMs, capMs }: Pauses, index: number, chance: number): number {
  return Math.round(chance * Math.min(capMs, baseMs * 2 ** index))
}
