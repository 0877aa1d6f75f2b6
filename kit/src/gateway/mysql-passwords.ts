import { constants, publicEncrypt } from 'node:crypto'

// What caching_sha2_password says after its first answer.
const fastAuthenticationSucceeded = 0x03
const fullAuthenticationWanted = 0x04
const publicKeyWanted = 0x02

/**
 * What `caching_sha2_password` answers when the server goes on: it has the password's hash not in its
 * cache then, and wants the password, encrypted for its public key as there is no TLS between the
 * gateway and the upstream.
 *
 * @returns Nothing where the server only says that it is content.
 */
export function answerFullAuthentication(
  plugin: string,
  data: Buffer,
  password: string,
  salt: Buffer,
): Buffer | undefined {
  if (plugin === 'caching_sha2_password') {
    if (data.length === 1 && data[0] === fastAuthenticationSucceeded) return undefined
    if (data.length === 1 && data[0] === fullAuthenticationWanted) return Buffer.from([publicKeyWanted])
    const masked = Buffer.from(`${password}\0`).map((byte, index) => byte ^ (salt[index % salt.length] ?? 0))
    return publicEncrypt({ key: data, padding: constants.RSA_PKCS1_OAEP_PADDING }, masked)
  }
  throw new Error(`the upstream goes on with the plugin "${plugin}" as the gateway does not know it`)
}
