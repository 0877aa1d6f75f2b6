/**
 * Lets the event loop deliver what happened to the sockets while the process was frozen: one turn reads what arrived, the next one
 * closes what ended.
 */
export async function settle(): Promise<void> {
  await new Promise(resolve => setImmediate(resolve))
  await new Promise(resolve => setImmediate(resolve))
}

/**
 * How long a connection has been silent, by the wall clock, which a freeze does not stop. A clock that stepped back tells nothing, so
 * the answer is then: for ever.
 */
export function silenceMs(lastUsedMs: number): number {
  const silence = Date.now() - lastUsedMs
  return silence < 0 ? Number.POSITIVE_INFINITY : silence
}

/**
 * Whether so much time has passed that a connection has to be looked at before it is lent. A process that was frozen was so for longer
 * than a millisecond: without such a pause, nothing can have happened unseen.
 */
export function isQuiet(lastUsedMs: number, pingAfterIdleMs: number): boolean {
  const silence = silenceMs(lastUsedMs)
  return silence > 1 || silence >= pingAfterIdleMs
}
