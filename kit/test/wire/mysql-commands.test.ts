import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findChangeUser } from '../../src/wire/mysql-commands.ts'

function packet(sequence: number, length: number, first: number): Buffer {
  const bytes = Buffer.alloc(4 + length, 0x11)
  bytes.writeUIntLE(length, 0, 3)
  bytes[3] = sequence
  if (length > 0) bytes[4] = first
  return bytes
}

/** All that may be passed on, and where the search ended. */
function run(chunks: readonly Buffer[]): { readonly passed: Buffer; readonly found: boolean } {
  const find = findChangeUser()
  const passed: Buffer[] = []
  for (const chunk of chunks) {
    const { before, from } = find(chunk)
    passed.push(before)
    if (from !== undefined) return { passed: Buffer.concat(passed), found: true }
  }
  return { passed: Buffer.concat(passed), found: false }
}

/** Pieces of up to `most` bytes, their sizes told by a generator that always starts the same. */
function split(bytes: Buffer, most: number): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, seed = most; at < bytes.length; ) {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    const size = 1 + (seed % most)
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

describe('the search for COM_CHANGE_USER', () => {
  const before = Buffer.concat([
    packet(0, 1, 0x0e),
    packet(0, 700, 0x03),
    packet(0, 0, 0),
    // Not the first of its exchange: the contents of a file.
    packet(2, 300, 0x11),
    packet(0, 5, 0x1c),
  ])
  const change = packet(0, 30, 0x11)

  for (const most of [1, 2, 3, 5, 17, 400, 100_000]) {
    it(`finds it in pieces of up to ${most} bytes, and passes on all in front of it and nothing else`, () => {
      const { passed, found } = run(split(Buffer.concat([before, change]), most))
      assert.equal(found, true)
      assert.deepEqual(passed, before)
    })
  }

  it('passes everything on where it is not', () => {
    for (const most of [1, 7, 1000])
      assert.deepEqual(run(split(before, most)), { passed: before, found: false })
  })

  it('does not take the continuation of a packet for a packet', () => {
    const whole = Buffer.concat([packet(0, 0xffffff, 0x03), packet(1, 0xffffff, 0x11), packet(2, 9, 0x11)])
    // As if 256 packets had been in front of it.
    whole[4 + 0xffffff + 3] = 0
    assert.deepEqual(run(split(whole, 70_000)).found, false)
    const { passed, found } = run([whole, change])
    assert.deepEqual([passed.length, found], [whole.length, true])
  })

  it('gives what begins with it, for it to be read', () => {
    const find = findChangeUser()
    assert.deepEqual(find(change.subarray(0, 4)), { before: Buffer.alloc(0) })
    assert.deepEqual(find(change.subarray(4)), { before: Buffer.alloc(0), from: change })
  })
})
