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
 * Before the one attempt of whoever was refused for all of an earlier time: counted from the latest refusal,
 * so that it costs nothing where requests are rare, and an environment that is asked again and again does not
 * log in as often as it can.
 */
export const spacedPauses: Pauses = { baseMs: 250, capMs: 250 }

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

/** The least patience with an attempt that is silent, in milliseconds: many times a login inside a VPC. */
const leastPatienceMs = 500

/**
 * How long an attempt may be silent before another one begins beside it, in milliseconds.
 *
 * A fifth of the time leaves most of it to the next one, also where an invocation has as little as Lambda's
 * default of three seconds; with the default of ten, it is two seconds, which a healthy login does not take,
 * and a lost SYN that the system sends again after one has been answered by then. It doubles each time, so that
 * a server that is slow but alive is asked three times at most, and a login that takes more than half of the
 * time still ends.
 *
 * @param budgetMs All the time that there was for connecting.
 * @param index How many attempts were silent before.
 */
export function patienceMs(budgetMs: number, index: number): number {
  return Math.max(leastPatienceMs, budgetMs / 5) * 2 ** index
}
