import type { TokenCache } from '../token/cache.ts'
import type { WriterRegionParts } from './writer-region.ts'

/**
 * Tokens for the writer of a global database, signed for the Region that it is in when one is asked for, which
 * every new connection does once. A token that was signed for another Region is forgotten.
 *
 * @param where Its `fallback` is empty where there is none.
 * @param createTokens Makes the tokens for one Region.
 */
export function createWriterTokens(
  where: WriterRegionParts & { readonly fallback: string },
  createTokens: (region: string) => TokenCache,
): TokenCache {
  let loading: Promise<() => Promise<string>> | undefined
  let current: { readonly region: string; readonly tokens: TokenCache } | undefined

  // Nobody else needs DNS here, so that it is loaded with the first token.
  const loadFinder = async (): Promise<() => Promise<string>> => {
    const { createWriterRegion } = await import('./writer-region.ts')
    const { fallback } = where
    return createWriterRegion({ ...where, fallback: fallback === '' ? undefined : fallback })
  }

  return {
    async get() {
      loading ??= loadFinder()
      const findRegion = await loading
      const region = await findRegion()
      if (current?.region !== region) current = { region, tokens: createTokens(region) }
      return current.tokens.get()
    },
    refuse: cached => current?.tokens.refuse(cached) ?? cached.reused,
  }
}
