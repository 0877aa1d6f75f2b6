/** What has passed since a reading of `performance.now()`, in whole milliseconds. */
export function elapsedMs(startedMs: number): number {
  return Math.round(performance.now() - startedMs)
}
