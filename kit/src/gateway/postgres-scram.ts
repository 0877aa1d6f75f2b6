import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { encodeInt32, encodeMessage, encodeText, Refusal, readAnswer } from '../wire/postgres-messages.ts'

// As PostgreSQL offers them over TLS, and as its PG_MAX_SASL_MESSAGE_LENGTH, SCRAM_SHA_256_DEFAULT_ITERATIONS,
// SCRAM_DEFAULT_SALT_LEN and SCRAM_RAW_NONCE_LEN.
const mechanisms = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']
const maxMessageLength = 1024
const iterations = 4096
const saltLength = 16
const nonceLength = 18

/** Makes salts that nobody can foresee, and that stay the same for a user. */
const saltSecret = randomBytes(32)

/**
 * Asks for a password by SCRAM-SHA-256, which no answer is right for: RDS asks so a user who is none for IAM, and
 * PostgreSQL whoever is not there. The password, or the token in its place, does not leave the client.
 *
 * @throws {Refusal} Always: `password authentication failed`, or what is wrong with the client's messages.
 * @see https://www.postgresql.org/docs/18/sasl-authentication.html
 * @see https://www.rfc-editor.org/rfc/rfc7677
 */
export async function askInVain(stream: Socket, user: string): Promise<never> {
  stream.write(encodeMessage('R', encodeInt32(10), ...mechanisms.map(encodeText), Buffer.alloc(1)))
  const nonce = parseInitialResponse(await readAnswer(stream, 'SASL', maxMessageLength))
  const salt = createHash('sha256').update(saltSecret).update(user).digest().subarray(0, saltLength)
  const serverNonce = randomBytes(nonceLength).toString('base64')
  const challenge = `r=${nonce}${serverNonce},s=${salt.toString('base64')},i=${iterations}`
  stream.write(encodeMessage('R', encodeInt32(11), Buffer.from(challenge)))
  await readAnswer(stream, 'SASL', maxMessageLength)
  throw new Refusal('28P01', `password authentication failed for user "${user}"`)
}

/** The client's nonce. */
function parseInitialResponse(body: Buffer): string {
  const end = body.indexOf(0)
  if (!mechanisms.includes(body.toString('latin1', 0, Math.max(end, 0))))
    throw new Refusal('08P01', 'client selected an invalid SASL authentication mechanism')
  // Behind the mechanism stands the length of what follows.
  const message = body.toString('utf8', end + 5)
  const [, nonce] = /^(?:[ny]|p=[^,]*),[^,]*,n=[^,]*,r=([\x21-\x2b\x2d-\x7e]*)/.exec(message) ?? []
  if (nonce === undefined) throw new Refusal('08P01', 'malformed SCRAM message')
  return nonce
}
