import assert from 'node:assert/strict'
import { it } from 'node:test'
import { agreeCapabilities, offerCapabilities } from '../../src/wire/mysql-capabilities.ts'
import { encodeGreeting, parseGreeting, standInGreeting } from '../../src/wire/mysql-greeting.ts'
import { encodeHandshakeResponse, parseHandshakeResponse } from '../../src/wire/mysql-login.ts'
import { flags, packets } from '../gateway/mysql-support.ts'

const salt = Buffer.from('abcdefghijklmnopqrst')
const everything = 0xffffffff

it('offers of what a server may know only what is between it and the client', () => {
  const offered = offerCapabilities(everything)
  const not = {
    COMPRESS: 5,
    QUERY_ATTRIBUTES: 27,
    ZSTD: 26,
    FACTORS: 28,
    VERIFY_SERVER_CERT: 30,
    REMEMBER: 31,
  }
  for (const [name, bit] of Object.entries(not)) assert.equal((offered >>> bit) & 1, 0, name)
  const all = { LOCAL_FILES: 7, SSL: 11, MULTI_STATEMENTS: 16, CONNECT_ATTRS: 20, SESSION_TRACK: 23, EOF: 24 }
  for (const [name, bit] of Object.entries(all)) assert.equal((offered >>> bit) & 1, 1, name)
})

it('agrees with the server on what the client chose of that, and on no TLS', () => {
  const offered = offerCapabilities(flags.usual | flags.compress)
  assert.equal(agreeCapabilities(everything, offered), flags.usual)
})

it('offers nothing of MariaDB’s own that packs several commands into one', () => {
  const upstream = { ...standInGreeting, reserved: Buffer.alloc(10, 0xff) }
  const { reserved } = parseGreeting(encodeGreeting(upstream, offerCapabilities(everything), salt))
  assert.equal(reserved.readUInt32LE(6), 0b111101)
  // Nor does it let a client use that unasked.
  const capabilities = flags.usual & ~1
  const body = packets.response({ capabilities }).subarray(4)
  body.fill(0xff, 9, 32)
  const login = encodeHandshakeResponse(parseHandshakeResponse(body), capabilities, {
    plugin: 'mysql_native_password',
    answer: Buffer.alloc(0),
  })
  assert.equal(login.readUInt32LE(28), 0b111101)
})

it('reads a greeting as it writes one', () => {
  const upstream = {
    ...standInGreeting,
    threadId: 4_000_000_000,
    serverVersion: Buffer.from('11.8.3-MariaDB'),
  }
  const offered = offerCapabilities(upstream.capabilities)
  const read = parseGreeting(encodeGreeting(upstream, offered, salt))
  assert.deepEqual(read, { ...upstream, salt, capabilities: offered })
})

it('leaves connection attributes to servers that can change the user with them', () => {
  const offered = offerCapabilities(everything)
  for (const [version, has] of [
    ['5.6.24', false],
    ['5.7.44', true],
    ['8.4.0', true],
    ['15.6.0', true],
  ] as const) {
    const upstream = { ...standInGreeting, serverVersion: Buffer.from(version) }
    const { capabilities } = parseGreeting(encodeGreeting(upstream, offered, salt))
    assert.equal((capabilities & 0x100000) !== 0, has, version)
  }
})
