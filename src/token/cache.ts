import type { Token } from './token.ts'

/** Keeps one authentication token while it lives. */
export interface TokenCache {
  /**
   * The token to use now: the one kept, or a new one. One signing serves however many callers wait for it.
   *
   * @throws {RdsIamError} `RDS_IAM_CREDENTIALS` of the signer. It is not kept: the next call signs again.
   */
  get(): Promise<CachedToken>
  /**
   * Forgets a token that the server refused. What signs the next one is told, because credentials that seem
   * not to end may have been renewed meanwhile.
   *
   * @returns Whether another may do better, which is so where this one had been signed earlier.
   */
  refuse(cached: CachedToken): boolean
}

/** A token, and whether it had been signed for an earlier call. */
export interface CachedToken {
  readonly token: Token
  readonly reused: boolean
}

/**
 * @param sign Signs a new token. It is told whether the one before was refused.
 * @param marginMs How long before its end a token is no longer used.
 * @param now The wall clock, in milliseconds. While Lambda freezes a process no timer fires, so expiry is
 * only ever read off the clock, at the moment of use.
 */
export function createTokenCache(
  sign: (isRefused: boolean) => Promise<Token>,
  marginMs: number,
  now = () => Date.now(),
): TokenCache {
  let current: Token | undefined
  let pending: Promise<Token> | undefined
  let isRefused = false

  /**
   * A token dated in the future was signed before the clock stepped back; a server on the right clock may
   * refuse it.
   */
  const isUsable = (token: Token, margin: number) =>
    token.signedAtMs <= now() && now() < token.expiresAtMs - margin

  const signOnce = (): Promise<Token> => {
    const signing = sign(isRefused)
      .then(token => {
        current = token
        isRefused = false
        return token
      })
      .finally(() => {
        if (pending === signing) pending = undefined
      })
    pending = signing
    return signing
  }

  return {
    async get() {
      if (current !== undefined && isUsable(current, marginMs)) return { token: current, reused: true }
      const token = await (pending ?? signOnce())
      // A freeze may have fallen between the signing and here.
      return { token: isUsable(token, 0) ? token : await (pending ?? signOnce()), reused: false }
    },
    refuse({ token, reused }) {
      if (current === token) {
        current = undefined
        isRefused = true
      }
      return reused
    },
  }
}
