// A token lives for 15 minutes, and may be dated five minutes ahead: see sigv4.ts. After that
// it is not valid again.
const longestLifeMs = 20 * 60_000

/** Counts distinct valid tokens, and remembers each only for as long as it can come again. */
export interface TokenCount {
  add(tokenId: string, nowMs: number): void
  readonly total: () => number
}

export function countTokens(): TokenCount {
  /** When each was seen first, in this order. */
  const seenAtMs = new Map<string, number>()
  let total = 0
  return {
    add(tokenId, nowMs) {
      for (const [id, atMs] of seenAtMs) {
        if (nowMs - atMs <= longestLifeMs) break
        seenAtMs.delete(id)
      }
      if (seenAtMs.has(tokenId)) return
      seenAtMs.set(tokenId, nowMs)
      total += 1
    },
    total: () => total,
  }
}
