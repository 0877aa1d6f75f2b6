// What can be wrong with the process that a function runs in: its clock, and the time that names take to resolve. Imported first, so that
// everything else sees these.
import dns from 'node:dns'

const faults = { aheadMs: 0, lookupDelayMs: Number(process.env.LOOKUP_DELAY_MS ?? 0) }

const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...given: []) {
    if (given.length > 0) super(...given)
    else super(RealDate.now() + faults.aheadMs)
  }

  static override now(): number {
    return RealDate.now() + faults.aheadMs
  }
} as DateConstructor

const realLookup = dns.lookup as (...given: unknown[]) => void
dns.lookup = ((...given: unknown[]) => {
  setTimeout(() => realLookup(...given), faults.lookupDelayMs)
}) as typeof dns.lookup

/** Moves the clock, as it moves while the process is frozen. */
export function moveClock(aheadMs: number): void {
  faults.aheadMs = aheadMs
}

/** A deadline comes from Lambda, whose clock did not move. */
export function timeAheadMs(): number {
  return faults.aheadMs
}
