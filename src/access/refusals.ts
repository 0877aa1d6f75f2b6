/** Refused tokens that took up all the time that somebody had for connecting. */
export interface KnownRefusals {
  /** How many there were until now. */
  readonly count: number
  /** When it began, and when the latest one came, in milliseconds since the epoch. */
  readonly sinceMs: number
  readonly latestMs: number
}

/**
 * What an access remembers of refused tokens. Throttling is refused in the words of a wrong policy, but it
 * lets somebody in from time to time: who was refused for a whole budget and by nothing else has a wrong
 * policy, for all that is known, and asks no more than once at a time until it is let in.
 */
export interface Refusals {
  /** `undefined` where there was no such budget since the last login. */
  known(): KnownRefusals | undefined
  /** Remembers a budget that refusals alone have used up. */
  remember(refusals: KnownRefusals): void
  /** Counts another one, where there are known ones. */
  add(nowMs: number): void
  /** The server let somebody in. */
  forget(): void
  /** Waits for a pause, or until refusals are known; what was being tried meanwhile need not go on. */
  orKnown(pause: Promise<void>): Promise<void>
}

export function createRefusals(): Refusals {
  let known: KnownRefusals | undefined
  const waiting = new Set<() => void>()

  return {
    known: () => known,
    remember(refusals) {
      known = refusals
      for (const wake of waiting) wake()
    },
    add(latestMs) {
      if (known !== undefined) known = { ...known, count: known.count + 1, latestMs }
    },
    forget() {
      known = undefined
    },
    async orKnown(pause) {
      if (known !== undefined) return
      const { promise: woken, resolve: wake } = Promise.withResolvers<void>()
      waiting.add(wake)
      await Promise.race([pause, woken])
      waiting.delete(wake)
    },
  }
}
