import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { PeerGone, readExactly } from '../../kit/src/wire/bytes.ts'
import { findChangeUser } from '../../kit/src/wire/mysql-commands.ts'
import { encodeGreeting, parseGreeting, standInGreeting } from '../../kit/src/wire/mysql-greeting.ts'
import { isSslRequest, parseChangeUser, parseHandshakeResponse } from '../../kit/src/wire/mysql-login.ts'
import { encodePacket, MalformedPacket, parseError, readPacket } from '../../kit/src/wire/mysql-packets.ts'
import {
  parseErrorResponse,
  parseStartup,
  Refusal,
  readFirstPacket,
  readMessage,
  readPassword,
} from '../../kit/src/wire/postgres-messages.ts'
import { packets as mysql } from '../../kit/test/gateway/mysql-support.ts'
import { message, packets as postgres } from '../../kit/test/gateway/support.ts'
import { assertProperty } from '../support/properties.ts'
import { split, splits } from './garbage.ts'

const buffers = (maxLength = 200) => fc.uint8Array({ maxLength }).map(bytes => Buffer.from(bytes))
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter(text => !text.includes('\0'))

/** A stream that the bytes come out of in the given pieces, with turns of the event loop between some of them; then its end. */
function streamOf(bytes: Buffer, sizes: readonly number[]): PassThrough {
  const stream = new PassThrough()
  const write = async (): Promise<void> => {
    for (const [index, piece] of split(bytes, sizes).entries()) {
      stream.write(piece)
      if (index % 3 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    stream.end()
  }
  void write()
  return stream
}

test('PostgreSQL’s messages are the same however their bytes are split', async () => {
  const parameters = fc.dictionary(name, name, { minKeys: 1, maxKeys: 4, noNullPrototype: true })
  const messages = fc.array(fc.tuple(fc.constantFrom('R', 'S', 'K', 'Z', 'E'), buffers()), { maxLength: 5 })
  await assertProperty(
    fc.asyncProperty(parameters, name, messages, splits, async (parameters, password, messages, sizes) => {
      const startup = postgres.startup(parameters)
      const parts = [startup, postgres.password(password), ...messages.map(given => message(...given))]
      const stream = streamOf(Buffer.concat(parts), sizes)
      const first = await readFirstPacket(stream)
      assert.deepEqual(first, { code: 0x30000, bytes: startup })
      assert.deepEqual([...parseStartup(first.bytes)], Object.entries(parameters))
      assert.equal(await readPassword(stream), password)
      for (const [type, body] of messages)
        assert.deepEqual(await readMessage(stream), { type, body, bytes: message(type, body) })
      await assert.rejects(readMessage(stream), PeerGone)
    }),
  )
})

test('MySQL’s packets are the same however their bytes are split', async () => {
  await assertProperty(
    fc.asyncProperty(fc.array(buffers(), { maxLength: 8 }), splits, async (bodies, sizes) => {
      const stream = streamOf(
        Buffer.concat(bodies.map((body, index) => encodePacket(250 + index, body))),
        sizes,
      )
      for (const [index, body] of bodies.entries())
        assert.deepEqual(await readPacket(stream, 250 + index), { sequence: (250 + index) % 256, body })
      await assert.rejects(readPacket(stream), PeerGone)
    }),
  )
})

test('bytes are read in the sizes that are asked for, or the reading ends with the stream', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 10 })
  await assertProperty(
    fc.asyncProperty(buffers(400), splits, sizes, async (bytes, pieces, sizes) => {
      const stream = streamOf(bytes, pieces)
      let at = 0
      for (const size of sizes) {
        const reading = readExactly(stream, size)
        if (at + size > bytes.length) {
          await assert.rejects(reading, PeerGone)
          return
        }
        assert.deepEqual(await reading, bytes.subarray(at, at + size))
        at += size
      }
    }),
  )
})

/** Nearly a packet: pieces of right ones, cut, glued and with bytes changed. */
const nearly = (right: readonly Buffer[]) =>
  fc
    .tuple(
      fc.array(fc.oneof(fc.constantFrom(...right), buffers(40)), { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
      fc.nat({ max: 100 }),
    )
    .map(([parts, changes, cut]) => {
      const bytes = Buffer.concat(parts)
      for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
      return bytes.subarray(0, bytes.length - Math.max(cut - 80, 0))
    })

test('no bytes break the reading of PostgreSQL’s messages: they are refused, or the peer is gone', async () => {
  const right = [postgres.startup(), postgres.password('x'), postgres.sslRequest, postgres.query('select 1')]
  const isExpected = (error: unknown) => error instanceof Refusal || error instanceof PeerGone
  await assertProperty(
    fc.asyncProperty(fc.oneof(buffers(), nearly(right)), splits, async (bytes, sizes) => {
      await readFirstPacket(streamOf(bytes, sizes))
        .then(({ bytes }) => parseStartup(bytes))
        .catch(error => assert.ok(isExpected(error), error))
      await readPassword(streamOf(bytes, sizes)).catch(error => assert.ok(isExpected(error), error))
      parseErrorResponse(bytes)
    }),
  )
})

test('no bytes break the reading of MySQL’s packets: they are malformed, or the peer is gone', async () => {
  const right = [
    mysql.response(),
    mysql.response({ user: 'Zoë' }),
    mysql.changeUser('app'),
    mysql.sslRequest(),
  ]
  const bodies = right.map(bytes => bytes.subarray(4))
  const greeting = encodeGreeting(standInGreeting, 0xffffffff, Buffer.alloc(20, 'x'))
  const isMalformed = (error: unknown) => error instanceof MalformedPacket
  const readers = [parseHandshakeResponse, parseChangeUser, parseGreeting, parseError] as const
  const read: number[] = readers.map(() => 0)
  await assertProperty(
    fc.asyncProperty(fc.oneof(buffers(), nearly([...bodies, greeting])), splits, async (bytes, sizes) => {
      for (const [index, reader] of readers.entries()) {
        try {
          reader(bytes)
          read[index] = (read[index] ?? 0) + 1
        } catch (error) {
          assert.ok(isMalformed(error), error as Error)
        }
      }
      isSslRequest(bytes)
      await readPacket(streamOf(bytes, sizes)).catch(error =>
        assert.ok(isMalformed(error) || error instanceof PeerGone, error),
      )
    }),
    { numRuns: 1_000 },
  )
  for (const times of read) assert.ok(times > 0, `no bytes were right: ${read}`)
})

test('COM_CHANGE_USER is found wherever a stream of commands is split, and nothing else is taken for it', () => {
  const changeUser = 0x11
  const command = fc
    .tuple(fc.constantFrom(0x03, 0x0e, changeUser, 0x12), buffers(60), fc.constantFrom(0, 0, 0, 1))
    .map(([code, rest, sequence]) => ({ sequence, body: Buffer.concat([Buffer.of(code), rest]) }))
  const anything = fc.oneof(command, fc.constant({ sequence: 0, body: Buffer.alloc(0) }))
  let found = 0
  assertProperty(
    fc.property(fc.array(anything, { maxLength: 8 }), splits, (commands, sizes) => {
      const encoded = commands.map(({ sequence, body }) => encodePacket(sequence, body))
      const index = commands.findIndex(({ sequence, body }) => sequence === 0 && body[0] === changeUser)
      const bytes = Buffer.concat(encoded)
      const expected = Buffer.concat(index < 0 ? encoded : encoded.slice(0, index))

      const find = findChangeUser()
      const passed: Buffer[] = []
      const pieces = split(bytes, sizes)
      for (const [at, piece] of pieces.entries()) {
        const { before, from } = find(piece)
        passed.push(before)
        if (from === undefined) continue
        found += 1
        assert.ok(index >= 0, 'another command was taken for it')
        assert.deepEqual(Buffer.concat([from, ...pieces.slice(at + 1)]), bytes.subarray(expected.length))
        assert.deepEqual(Buffer.concat(passed), expected)
        return
      }
      assert.ok(index < 0, 'it was not found')
      // All has passed, for there is nothing left to tell of it.
      assert.deepEqual(Buffer.concat(passed), expected)
    }),
    { numRuns: 500 },
  )
  assert.ok(found > 50, `it was there ${found} times only`)
})
