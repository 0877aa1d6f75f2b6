import type { LentToken, TokenCache } from './cache.ts'
import type { Token } from './token.ts'

/** The token of one attempt to connect. */
export interface TokenLending {
  /** Has the token signed, while the socket is on its way. Whoever takes it hears of a failure. */
  prepare(): void
  /** The token, once the server asks for it: one for the attempt, however often it is asked for. */
  take(): Promise<Token>
  /** Whether the server has asked for the token and does not have it yet. */
  isAwaited(): boolean
  /** Whether the token that the server got had been signed for an earlier attempt. */
  isReused(): boolean
  /**
   * Forgets the token, where the server refused it.
   *
   * @returns Whether another may do better at once, which is so where this one had been signed for an earlier attempt.
   */
  refuse(): boolean
}

/** Lends one attempt to connect its token. */
export function lendToken(tokens: TokenCache): TokenLending {
  let lending: Promise<LentToken> | undefined
  let isAsked = false
  let taken: LentToken | undefined

  const lend = (): Promise<LentToken> => {
    lending ??= tokens.get()
    return lending
  }

  return {
    prepare() {
      lend().catch(() => {})
    },
    async take() {
      isAsked = true
      taken = await lend()
      return taken.token
    },
    isAwaited: () => isAsked && taken === undefined,
    isReused: () => taken?.reused ?? false,
    refuse: () => taken !== undefined && tokens.refuse(taken),
  }
}
