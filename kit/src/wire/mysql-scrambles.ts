import { createHash } from 'node:crypto'

/** The plugins that hash a password with the server's salt. */
export type ScramblePlugin = 'mysql_native_password' | 'caching_sha2_password'

/**
 * What a plugin answers to the 20 bytes of the server's salt; nothing at all for a user without a password.
 *
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
 * @see https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
 */
export function scramble(plugin: ScramblePlugin, password: string, salt: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0)
  if (plugin === 'mysql_native_password') {
    const once = hash('sha1', Buffer.from(password))
    return xor(once, hash('sha1', salt, hash('sha1', once)))
  }
  const once = hash('sha256', Buffer.from(password))
  return xor(once, hash('sha256', hash('sha256', once), salt))
}

function hash(algorithm: 'sha1' | 'sha256', ...parts: readonly Buffer[]): Buffer {
  const state = createHash(algorithm)
  for (const part of parts) state.update(part)
  return state.digest()
}

const xor = (left: Buffer, right: Buffer): Buffer =>
  Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)))
