export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const lower = sorted[(sorted.length - 1) >> 1]
  const upper = sorted[sorted.length >> 1]
  if (lower === undefined || upper === undefined) throw new Error('There is no median of nothing')
  return (lower + upper) / 2
}

/**
 * The median of what `compare` makes of two series, round by round: a slow spell of the machine falls on both
 * sides of a round.
 */
export function medianOfRounds(
  a: readonly number[],
  b: readonly number[],
  compare: (a: number, b: number) => number,
): number {
  return median(a.map((value, round) => compare(value, b[round] ?? Number.NaN)))
}
