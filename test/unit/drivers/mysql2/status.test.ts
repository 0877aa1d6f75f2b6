import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command, Packet } from '../../../../src/drivers/mysql2/internals.ts'
import { readStatus } from '../../../../src/drivers/mysql2/status.ts'

/** A message of the server, behind another one in the same buffer. */
function packet(...bytes: readonly number[]): Packet {
  const before = [0xff, 0xff, 0xff]
  return {
    buffer: Buffer.from([...before, ...bytes, 0xff, 0xff, 0xff]),
    offset: before.length,
    end: before.length + bytes.length,
  } as unknown as Packet
}

/** A command that waits for a kind of message. */
function commandIn(state: string): Command {
  const wait = (): void => {}
  return { next: wait, other: () => {}, [state]: wait } as unknown as Command
}

const ok = commandIn('resultsetHeader')

for (const [title, bytes] of [
  ['no rows and no key', [0, 0, 0]],
  ['a key of three bytes', [0, 1, 0xfc, 0x10, 0x27]],
  ['a key of four bytes', [0, 1, 0xfd, 0x10, 0x27, 0]],
  ['a key of nine bytes', [0, 1, 0xfe, 0, 0, 0, 0, 1, 0, 0, 0]],
  ['many rows', [0, 0xfc, 0x10, 0x27, 0]],
  ['far more rows', [0, 0xfd, 0x10, 0x27, 1, 0]],
  ['a count of nine bytes', [0, 0xfe, 0, 0, 0, 0, 1, 0, 0, 0, 0]],
] as const) {
  test(`reads whether a transaction is open from an OK with ${title}`, () => {
    assert.deepEqual(readStatus(packet(...bytes, 3, 0, 0, 0), ok), { isInTransaction: true })
    assert.deepEqual(readStatus(packet(...bytes, 2, 1, 0, 0), ok), { isInTransaction: false })
    // Nothing behind the flags: before MySQL 4.1.
    assert.deepEqual(readStatus(packet(...bytes, 1, 0), ok), { isInTransaction: true })
    assert.equal(readStatus(packet(...bytes, 1), ok), undefined)
  })
}

test('takes what begins as an OK for one only where the command waits for one', () => {
  const message = packet(0, 0, 0, 1, 0, 0, 0)
  for (const state of [
    'resultsetHeader',
    'infileOk',
    'pingResponse',
    'resetConnectionResponse',
    'handshakeResult',
  ])
    assert.deepEqual(readStatus(message, commandIn(state)), { isInTransaction: true }, state)
  for (const command of [commandIn('row'), {} as Command, null, undefined])
    assert.equal(readStatus(message, command), undefined)
})

test('reads whether a transaction is open from the end of rows, and takes no row for it', () => {
  assert.deepEqual(readStatus(packet(0xfe, 0, 0, 1, 0), undefined), { isInTransaction: true })
  assert.deepEqual(readStatus(packet(0xfe, 1, 0, 0x22, 0), undefined), { isInTransaction: false })
  assert.equal(readStatus(packet(0xfe, 0, 0, 1, 0, 0), undefined), undefined)
  assert.equal(readStatus(packet(3, 0, 0, 1, 0), undefined), undefined)
})

test('reads the number of an error', () => {
  assert.deepEqual(readStatus(packet(0xff, 0x15, 0x04, 0x23), undefined), { error: 1045 })
  assert.deepEqual(readStatus(packet(0xff, 0x15, 0x04, 0x23), ok), { error: 1045 })
})
