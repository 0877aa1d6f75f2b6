import type { TokenUse } from '../errors/failure.ts'
import type { CachedToken, TokenCache } from './cache.ts'
import type { Token } from './token.ts'

/** The token of one attempt to connect. */
export interface AttemptToken {
  /** Begins to sign while the socket connects. `take` tells of a failure. */
  prepare(): void
  /** The token, once the server asks for it: one for the attempt, however often it is asked for. */
  take(): Promise<Token>
  /** What became of the token: a refusal means something else where the server never asked for it. */
  use(): TokenUse
  /** Whether the server has asked for the token and does not have it yet. */
  isAwaited(): boolean
  /** Whether the token that the server got had been signed for an earlier attempt. */
  isReused(): boolean
  /**
   * Forgets the token, where the server refused it.
   *
   * @returns Whether another may do better at once, which is so where this one had been signed for an earlier
   * attempt.
   */
  refuse(): boolean
}

/** Gives one attempt to connect its token. */
export function createAttemptToken(tokens: TokenCache): AttemptToken {
  let asked: Promise<CachedToken> | undefined
  let isAsked = false
  let taken: CachedToken | undefined

  const ask = (): Promise<CachedToken> => {
    asked ??= tokens.get()
    return asked
  }

  return {
    prepare() {
      ask().catch(() => {})
    },
    async take() {
      isAsked = true
      taken = await ask()
      return taken.token
    },
    use: () => (taken === undefined ? 'unasked' : 'sent'),
    isAwaited: () => isAsked && taken === undefined,
    isReused: () => taken?.reused ?? false,
    refuse: () => taken !== undefined && tokens.refuse(taken),
  }
}
