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
 * The caps come from the simulated storm (`npm run bench -- --storm`): with 1 000 environments against 200 connections a second, pauses
 * of up to a second have all connected within 1.3 times the ideal and take the fewest attempts; half as long a cap takes half as many
 * attempts more, and with half as much again some come too late.
 */
export const passingPauses: Pauses = { baseMs: 100, capMs: 1_000 }

/** For refused tokens, which may be throttling and may be a wrong policy: slower from the start. */
export const refusedPauses: Pauses = { baseMs: 400, capMs: 1_000 }

/** What an attempt to connect needs at least, in milliseconds: no pause ends later than this before the deadline. */
export const shortestAttemptMs = 100

/**
 * The pause before the next attempt, in milliseconds: exponential backoff with full jitter, random(0, min(cap, base · 2^n)).
 *
 * @param index How many pauses of this kind there have been.
 * @param chance A random number from 0 up to 1.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
export function pauseMs({ baseMs, capMs }: Pauses, index: number, chance: number): number {
  return Math.round(chance * Math.min(capMs, baseMs * 2 ** index))
}
