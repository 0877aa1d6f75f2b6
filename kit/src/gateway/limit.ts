/**
 * Lets at most `perSecond` connections through in any second; refused ones do not count, so that trying again
 * in a loop does not shut everybody out for good.
 *
 * @param perSecond A whole number of at least 1, or nothing for no limit.
 * @returns Whether a connection at that time, in milliseconds, may pass.
 */
export function limitConnections(perSecond: number | undefined): (nowMs: number) => boolean {
  const passed: number[] = []
  return nowMs => {
    if (perSecond === undefined) return true
    // Those of the future too, from before the clock was set back: they would shut everybody out
    // until it has caught up.
    while (passed[0] !== undefined && Math.abs(nowMs - passed[0]) >= 1000) passed.shift()
    if (passed.length >= perSecond) return false
    passed.push(nowMs)
    return true
  }
}
