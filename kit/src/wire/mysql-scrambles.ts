import { createHash } from 'node:crypto'

/**
 * What a plugin answers to the server's salt; nothing at all for a user without a password.
 *
 * @throws {Error} For a plugin that is not among these two.
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
  throw new Error(`the server asks for the authentication plugin "${plugin}", which is not known here`)
}

function hash(algorithm: 'sha1' | 'sha256', ...parts: readonly Buffer[]): Buffer {
  const state = createHash(algorithm)
  for (const part of parts) state.update(part)
  return state.digest()
}

const xor = (left: Buffer, right: Buffer): Buffer =>
  Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)))
