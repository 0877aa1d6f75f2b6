import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../src/time/clock.ts'

/** Time that passes only when there is nothing left to do at a moment. */
export interface VirtualClock extends Clock {
  /** Lets time pass, in whole milliseconds, until nobody sleeps any more or `isOver` says so. */
  run(isOver: () => boolean): Promise<void>
}

const epochMs = Date.UTC(2026, 0, 1)

export function createVirtualClock(random: () => number): VirtualClock {
  let elapsedMs = 0
  let sleeping = 0
  const wakings = new Map<number, Set<() => void>>()

  const after = (ms: number, act: () => void): (() => void) => {
    const atMs = elapsedMs + Math.max(0, Math.round(ms))
    const due = wakings.get(atMs) ?? new Set()
    wakings.set(atMs, due.add(act))
    sleeping += 1
    return () => {
      if (wakings.get(atMs) !== due || !due.delete(act)) return
      sleeping -= 1
      if (due.size === 0) wakings.delete(atMs)
    }
  }

  return {
    random,
    now: () => epochMs + elapsedMs,
    sleep: ms => new Promise(resolve => after(ms, resolve)),
    after,
    async run(isOver) {
      await turn()
      for (; sleeping > 0 && !isOver(); elapsedMs += 1) {
        for (let due = wakings.get(elapsedMs); due !== undefined; due = wakings.get(elapsedMs)) {
          wakings.delete(elapsedMs)
          sleeping -= due.size
          for (const wake of due) wake()
          // All that follows from it without sleeping again.
          await turn()
        }
      }
    },
  }
}

/**
 * The same random numbers every time.
 *
 * @see https://gist.github.com/tommyettinger/46a874533244883189143505d203312c (Mulberry32)
 */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
