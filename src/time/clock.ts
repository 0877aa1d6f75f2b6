/** Time and chance, for code that waits and tries again. */
export interface Clock {
  /** The wall clock, in milliseconds since the epoch. */
  now(): number
  /** Resolves after a time in milliseconds. */
  sleep(ms: number): Promise<void>
  /**
   * Calls something after a time in milliseconds.
   *
   * @returns Cancels it.
   */
  after(ms: number, act: () => void): () => void
  /** A number from 0 up to, but not including, 1. */
  random(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: ms => new Promise(resolve => setTimeout(resolve, ms)),
  after(ms, act) {
    const timer = setTimeout(act, ms)
    return () => clearTimeout(timer)
  },
  random: () => Math.random(),
}
