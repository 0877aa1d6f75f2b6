import type { Measurement } from './functions/event.ts'

/** Numbers from 0 to 1. */
export type Random = () => number

/** The same numbers for the same seed. @see https://github.com/cprosche/mulberry32 */
export function createRandom(seed: number): Random {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** In MB, from the second quarter of a run to the last: more is growth, less the noise of a garbage collector. */
const heapNoiseMB = 1

/** Compares the last quarter of a run with its second one; in the first, caches fill and code is compiled. @returns What has grown. */
export function findGrowth(measured: readonly Measurement[]): string[] {
  const quarter = Math.floor(measured.length / 4)
  const [early, late] = [measured.slice(quarter, 2 * quarter), measured.slice(-quarter)]
  const problems: string[] = []
  // What is closed may take a turn of the event loop to be gone, and compiled code comes and goes, so the least
  // that was ever held counts.
  const least = (of: readonly Measurement[], read: (one: Measurement) => number) => Math.min(...of.map(read))
  const heapMB = ({ heapMB }: Measurement) => heapMB
  const [before, after] = [least(early, heapMB), least(late, heapMB)]
  if (after - before > heapNoiseMB)
    problems.push(`the heap grew from ${before.toFixed(2)} to ${after.toFixed(2)} MB`)
  const names = new Set(late.flatMap(({ resources }) => Object.keys(resources)))
  for (const name of names) {
    const read = ({ resources }: Measurement) => resources[name] ?? 0
    if (least(late, read) > least(early, read))
      problems.push(`${name}: ${least(early, read)} became ${least(late, read)}`)
  }
  const listeners = ({ listeners }: Measurement) => listeners
  if (least(late, listeners) > least(early, listeners))
    problems.push(`listeners: ${least(early, listeners)} became ${least(late, listeners)}`)
  return problems
}
