import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * Verifies a password by SCRAM-SHA-256, without channel binding as there is no TLS on this side. The password
 * never travels, and what a listener hears is worth nothing without it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5802 SCRAM, https://www.rfc-editor.org/rfc/rfc7677 SHA-256
 * @see https://www.postgresql.org/docs/18/sasl-authentication.html
 */
export interface ScramVerifier {
  begin(): ScramExchange
}

export interface ScramExchange {
  /** From client-first-message to server-first-message; nothing where it is none. */
  first(message: string): string | undefined
  /** From client-final-message to server-final-message; nothing where the password is wrong. */
  final(message: string): string | undefined
}

export const scramMechanism = 'SCRAM-SHA-256'

// As PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS.
const iterations = 4096

/** @param password Of ASCII, which SASLprep leaves as it is. */
export function createScramVerifier(password: string): ScramVerifier {
  const salt = randomBytes(16)
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const storedKey = createHash('sha256').update(hmac(salted, 'Client Key')).digest()
  const serverKey = hmac(salted, 'Server Key')

  return {
    begin() {
      let header = ''
      let nonce = ''
      let begun = ''
      return {
        first(message) {
          // `n`: the client knows no channel binding; `y`: it does, and saw that this server does not.
          const [, flags, bare, clientNonce] =
            /^([ny],,)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+))$/.exec(message) ?? []
          if (flags === undefined || bare === undefined) return undefined
          header = Buffer.from(flags).toString('base64')
          nonce = `${clientNonce}${randomBytes(18).toString('base64')}`
          const answer = `r=${nonce},s=${salt.toString('base64')},i=${iterations}`
          begun = `${bare},${answer}`
          return answer
        },
        final(message) {
          const [, bare, binding, shown, proof] =
            /^(c=([^,]+),r=([^,]+)),p=([A-Za-z0-9+/=]+)$/.exec(message) ?? []
          if (bare === undefined || binding !== header || shown !== nonce) return undefined
          const text = `${begun},${bare}`
          const given = Buffer.from(proof ?? '', 'base64')
          if (given.length !== storedKey.length) return undefined
          const clientKey = xor(given, hmac(storedKey, text))
          const isRight = timingSafeEqual(createHash('sha256').update(clientKey).digest(), storedKey)
          return isRight ? `v=${hmac(serverKey, text).toString('base64')}` : undefined
        },
      }
    },
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const xor = (left: Buffer, right: Buffer): Buffer =>
  Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)))
