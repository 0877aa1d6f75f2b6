import assert from 'node:assert/strict'
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  pbkdf2Sync,
  privateDecrypt,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { describe, it } from 'node:test'
import { findMysqlKinds } from '../../../test/support/database.ts'
import { startMysql } from '../../../test/support/servers.ts'
import type { Mysql } from '../../src/database/mysql.ts'
import { signByPassword } from '../../src/gateway/ed25519.ts'
import { answerMore, answerPlugin } from '../../src/gateway/mysql-passwords.ts'
import { type MysqlError, openMysqlGateway, tryMysql } from './mysql-support.ts'

describe('a MariaDB whose user signs by a password', () => {
  const { kinds, missing } = findMysqlKinds()
  const noServer = !kinds.includes('mariadb') && missing

  for (const plugin of ['ed25519', 'parsec'])
    it(`gets the signature of ${plugin}, whatever the length of the password`, {
      skip: noServer,
    }, async t => {
      const server = await startMysql({ kind: 'mariadb' })
      t.after(() => server.stop())
      const noPlugin = await installPlugin(server, `auth_${plugin}`)
      // The server's own words: older ones have no PARSEC, and some come without their plugins.
      if (noPlugin !== undefined) return t.skip(noPlugin)
      for (const [index, password] of ['p', 'pá§s wörd', 'x'.repeat(32), 'long '.repeat(20)].entries()) {
        await server.query(
          `CREATE USER 'u${index}'@'%' IDENTIFIED VIA ${plugin} USING PASSWORD('${password}')`,
        )
        const { gateway } = await openMysqlGateway(t, server, { upstream: { port: server.port, password } })
        const session = { user: `u${index}`, database: undefined as never }
        assert.equal(await tryMysql(gateway, session), undefined)
        const wrong = { port: server.port, password: `${password}.` }
        const refusing = await openMysqlGateway(t, server, { upstream: wrong })
        assert.equal((await tryMysql(refusing.gateway, session))?.errno, 1429)
      }
    })
})

/** @returns Why the server has no such plugin. */
async function installPlugin(server: Mysql, library: string): Promise<string | undefined> {
  try {
    await server.query(`INSTALL SONAME '${library}'`)
    return undefined
  } catch (error) {
    const { code, message } = error as MysqlError
    if (code !== 'ER_CANT_OPEN_LIBRARY') throw error
    return `${server.name}: ${message}`
  }
}

/**
 * These servers are not at hand everywhere: what the gateway answers is checked as their documentation says.
 */
describe('the answer of', () => {
  const salt = Buffer.from('abcdefghijklmnopqrstuvwxyz012345')
  const question = { password: 'pá§s wörd', salt, isEncrypted: false }

  it('ed25519 is that of node:crypto where the password is as long as a private key', () => {
    for (let index = 0; index < 20; index += 1) {
      const seed = randomBytes(32)
      const key = privateKeyOf(seed)
      assert.deepEqual(signByPassword(salt, seed), sign(null, salt, key))
    }
  })

  it('parsec is signed by the stretched password, over the salts of both sides', () => {
    const parsec = { ...question, plugin: 'parsec' }
    assert.deepEqual(answerPlugin(parsec), Buffer.alloc(0))
    const passwordSalt = randomBytes(18)
    const answer = answerMore(parsec, Buffer.concat([Buffer.from('P'), Buffer.of(1), passwordSalt]))
    const seed = pbkdf2Sync(question.password, passwordSalt, 2048, 32, 'sha512')
    const signed = Buffer.concat([salt, answer?.subarray(0, 32) ?? salt])
    assert.equal(answer?.length, 96)
    assert.ok(verify(null, signed, createPublicKey(privateKeyOf(seed)), answer.subarray(32)))
    for (const stretched of ['Q\0', 'P\x04'])
      assert.throws(() => answerMore(parsec, Buffer.from(`${stretched}salt`)), /unknown way/)
  })

  it('sha256_password and caching_sha2_password is the password itself over TLS alone', () => {
    const bare = Buffer.from(`${question.password}\0`)
    const secret = { ...question, isEncrypted: true }
    assert.deepEqual(answerPlugin({ ...secret, plugin: 'sha256_password' }), bare)
    assert.deepEqual(answerMore({ ...secret, plugin: 'caching_sha2_password' }, Buffer.of(4)), bare)
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }))
    assert.deepEqual(answerPlugin({ ...question, plugin: 'sha256_password' }), Buffer.of(1))
    assert.deepEqual(answerMore({ ...question, plugin: 'caching_sha2_password' }, Buffer.of(4)), Buffer.of(2))
    for (const plugin of ['sha256_password', 'caching_sha2_password']) {
      const encrypted = answerMore({ ...question, plugin }, pem) ?? Buffer.alloc(0)
      const padding = constants.RSA_PKCS1_OAEP_PADDING
      const masked = privateDecrypt({ key: privateKey, padding }, encrypted)
      assert.deepEqual(Buffer.from(masked.map((byte, at) => byte ^ (salt[at % 20] ?? 0))), bare)
    }
    for (const plugin of ['sha256_password', 'caching_sha2_password', 'client_ed25519'])
      assert.ok(answerPlugin({ ...secret, password: '', plugin }).length <= 1, plugin)
  })

  function privateKeyOf(seed: Buffer) {
    const head = Buffer.from('302e020100300506032b657004220420', 'hex')
    return createPrivateKey({ key: Buffer.concat([head, seed]), format: 'der', type: 'pkcs8' })
  }
})
