import { constants, createPrivateKey, pbkdf2Sync, publicEncrypt, randomBytes, sign } from 'node:crypto'
import { scramble } from '../wire/mysql-scrambles.ts'
import { signByPassword } from './ed25519.ts'
import { UpstreamRefusal } from './upstream.ts'

/** What an authentication plugin is asked with. */
export interface PluginQuestion {
  readonly plugin: string
  /** Empty for none. */
  readonly password: string
  /** What the server sent for this login alone. */
  readonly salt: Buffer
  /** Whether nobody can read along: a plugin that sends the password itself does so only then. */
  readonly isEncrypted: boolean
}

const publicKeyWanted = { caching_sha2_password: 0x02, sha256_password: 0x01 } as const

/**
 * What a plugin answers to the server's salt.
 *
 * @throws {UpstreamRefusal} For a plugin that the gateway does not have.
 */
export function answerPlugin({ plugin, password, salt, isEncrypted }: PluginQuestion): Buffer {
  const text = Buffer.from(password)
  switch (plugin) {
    case 'mysql_native_password':
    case 'caching_sha2_password':
      return scramble(plugin, password, salt.subarray(0, 20))
    // https://dev.mysql.com/doc/refman/8.4/en/sha256-pluggable-authentication.html
    case 'sha256_password':
      if (password === '') return Buffer.alloc(1)
      return isEncrypted ? Buffer.from(`${password}\0`) : Buffer.of(publicKeyWanted.sha256_password)
    // https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-ed25519
    case 'client_ed25519':
      return password === '' ? Buffer.alloc(0) : signByPassword(salt.subarray(0, 32), text)
    // It is asked for the salt of the password first.
    case 'parsec':
      return Buffer.alloc(0)
  }
  throw new UpstreamRefusal(
    `The server behind the gateway wants the authentication plugin "${plugin}", which the gateway does not have: it has ` +
      'mysql_native_password, caching_sha2_password, sha256_password, client_ed25519 and parsec',
  )
}

// What caching_sha2_password says after its first answer.
const fastAuthenticationSucceeded = 0x03
const fullAuthenticationWanted = 0x04

/**
 * What a plugin answers when the server goes on. `caching_sha2_password` does where the server has the
 * password's hash not in its cache, and wants the password: over TLS as it is, else encrypted for the
 * server's public key.
 *
 * @returns Nothing where the server only says that it is content.
 */
export function answerMore(question: PluginQuestion, data: Buffer): Buffer | undefined {
  const { plugin, password, salt, isEncrypted } = question
  switch (plugin) {
    case 'caching_sha2_password':
      if (data.length === 1 && data[0] === fastAuthenticationSucceeded) return undefined
      if (data.length !== 1 || data[0] !== fullAuthenticationWanted) return encryptFor(data, question)
      return isEncrypted ? Buffer.from(`${password}\0`) : Buffer.of(publicKeyWanted.caching_sha2_password)
    case 'sha256_password':
      return encryptFor(data, question)
    case 'parsec':
      return signParsec(data, password, salt)
  }
  throw new Error(`the upstream goes on with the plugin "${plugin}" as the gateway does not know it`)
}

function encryptFor(publicKey: Buffer, { password, salt }: PluginQuestion): Buffer {
  const masked = Buffer.from(`${password}\0`).map((byte, index) => byte ^ (salt[index % 20] ?? 0))
  return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING }, masked)
}

// A private key of Ed25519 in PKCS #8 up to its 32 bytes: https://www.rfc-editor.org/rfc/rfc8410#section-7
const pkcs8Head = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * MariaDB's PARSEC: the password, stretched, is a private key, which signs the salts of both sides.
 *
 * @param data How the password was stretched: the letter P, the power of two of 1024 rounds, and its salt.
 * @see https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-parsec
 */
function signParsec(data: Buffer, password: string, salt: Buffer): Buffer {
  const [algorithm, power = 0] = data
  if (algorithm !== 0x50 || power > 3) throw new Error('the upstream stretches passwords in an unknown way')
  const seed = pbkdf2Sync(password, data.subarray(2), 1024 << power, 32, 'sha512')
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: 'der', type: 'pkcs8' })
  const own = randomBytes(32)
  return Buffer.concat([own, sign(null, Buffer.concat([salt.subarray(0, 32), own]), key)])
}
