import { constants, createHash, publicEncrypt } from 'node:crypto'

/**
 * What a plugin answers to the server's salt; nothing at all for a user without a password.
 *
 * @throws {Error} For a plugin that the gateway does not have.
 */
export function answerPlugin(plugin: string, password: string, salt: Buffer): Buffer {
  const text = Buffer.from(password)
  switch (plugin) {
    // https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
    case 'mysql_native_password': {
      if (password === '') return Buffer.alloc(0)
      const once = hash('sha1', text)
      return xor(once, hash('sha1', salt, hash('sha1', once)))
    }
    // https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
    case 'caching_sha2_password': {
      if (password === '') return Buffer.alloc(0)
      const once = hash('sha256', text)
      return xor(once, hash('sha256', hash('sha256', once), salt))
    }
  }
  throw new Error(
    `the upstream asks for the authentication plugin "${plugin}", which the gateway does not have`,
  )
}

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

function hash(algorithm: 'sha1' | 'sha256', ...parts: readonly Buffer[]): Buffer {
  const state = createHash(algorithm)
  for (const part of parts) state.update(part)
  return state.digest()
}

const xor = (left: Buffer, right: Buffer): Buffer =>
  Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)))
