import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { encodeInt32, encodeText } from '../wire/postgres-messages.ts'
import { UpstreamRefusal } from './upstream.ts'

/** Answers a server's authentication requests. */
export interface Authenticator {
  /** From the body of a request to the body of the answer, if there is to be one. */
  answer(request: Buffer): Promise<Buffer | undefined>
  /**
   * Is called when the server says that the client is in.
   *
   * @throws {Error} Where it has not proved that it knows the password, as it began to.
   */
  finish(): void
}

/**
 * Answers for a user by what the server asks for: the password itself, MD5 or SCRAM-SHA-256.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-START-UP
 * @see https://www.postgresql.org/docs/18/sasl-authentication.html
 */
export function makeAuthenticator(user: string, getPassword: () => string): Authenticator {
  let scram: Scram | undefined
  return {
    async answer(request) {
      const method = request.readInt32BE()
      const data = request.subarray(4)
      switch (method) {
        case 3:
          return encodeText(getPassword())
        case 5:
          return encodeText(hashMd5(user, getPassword(), data.subarray(0, 4)))
        case 10: {
          const mechanisms = data.toString('utf8').split('\0')
          if (!mechanisms.includes('SCRAM-SHA-256')) break
          scram = beginScram(getPassword())
          const first = Buffer.from(scram.first)
          return Buffer.concat([encodeText('SCRAM-SHA-256'), encodeInt32(first.length), first])
        }
        case 11:
          if (scram === undefined) throw new Error('the upstream goes on with SASL that it never began')
          return Buffer.from(await scram.prove(data.toString('utf8')))
        case 12:
          if (scram === undefined) throw new Error('the upstream goes on with SASL that it never began')
          scram.verify(data.toString('utf8'))
          return undefined
      }
      throw new UpstreamRefusal(
        `The server behind the gateway wants an authentication that the gateway does not have (method ${method}): it has ` +
          'password, md5 and scram-sha-256',
      )
    },
    finish() {
      if (scram?.isVerified() === false)
        throw new Error('the upstream did not prove that it knows the password')
    },
  }
}

/** https://www.postgresql.org/docs/18/protocol-flow.html: AuthenticationMD5Password */
function hashMd5(user: string, password: string, salt: Buffer): string {
  const md5 = (...parts: (string | Buffer)[]) =>
    createHash('md5')
      .update(Buffer.concat(parts.map(part => Buffer.from(part))))
      .digest('hex')
  return `md5${md5(md5(password, user), salt)}`
}

interface Scram {
  readonly first: string
  /** From the server's first message to the client's last one. */
  prove(serverFirst: string): Promise<string>
  /** @throws {Error} Where the server does not know the password. */
  verify(serverLast: string): void
  isVerified(): boolean
}

const stretch = promisify(pbkdf2)
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** https://www.rfc-editor.org/rfc/rfc5802#section-3, without a channel binding. */
function beginScram(password: string): Scram {
  const nonce = randomBytes(18).toString('base64')
  // PostgreSQL takes the user of the startup packet.
  const firstBare = `n=,r=${nonce}`
  let expected: Buffer | undefined
  let verified = false
  return {
    first: `n,,${firstBare}`,
    async prove(serverFirst) {
      const [, whole = '', salt = '', iterations = ''] =
        /^r=([^,]+),s=([A-Za-z0-9+/=]+),i=(\d{1,9})(?:,|$)/.exec(serverFirst) ?? []
      if (!whole.startsWith(nonce) || whole === nonce || Number(iterations) < 1)
        throw new Error('the upstream sent no challenge of SCRAM')
      const key = await stretch(
        prepare(password),
        Buffer.from(salt, 'base64'),
        Number(iterations),
        32,
        'sha256',
      )
      // `biws` is the first message's head, `n,,`, in Base64.
      const lastBare = `c=biws,r=${whole}`
      const exchange = `${firstBare},${serverFirst},${lastBare}`
      const clientKey = hmac(key, 'Client Key')
      const signature = hmac(createHash('sha256').update(clientKey).digest(), exchange)
      const proof = clientKey.map((byte, at) => byte ^ (signature[at] ?? 0))
      expected = hmac(hmac(key, 'Server Key'), exchange)
      return `${lastBare},p=${Buffer.from(proof).toString('base64')}`
    },
    verify(serverLast) {
      const given = Buffer.from(/^v=([A-Za-z0-9+/=]+)(?:,|$)/.exec(serverLast)?.[1] ?? '', 'base64')
      verified = given.length === expected?.length && timingSafeEqual(given, expected)
      if (!verified) throw new Error('the upstream did not prove that it knows the password')
    },
    isVerified: () => verified,
  }
}

// https://www.rfc-editor.org/rfc/rfc3454: tables C.1.2 and B.1
const otherSpaces = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g
const invisible = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g

/**
 * Prepares a password as PostgreSQL does when it is set: by SASLprep, or not at all where that forbids a
 * character.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4013
 */
function prepare(password: string): string {
  const prepared = password.replace(otherSpaces, ' ').replace(invisible, '').normalize('NFKC')
  return prepared === '' || /[\p{Cc}\p{Co}\p{Cs}\ufff9-\uffff]/u.test(prepared) ? password : prepared
}
