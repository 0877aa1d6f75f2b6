import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createThreads, isChangeUser } from '../../src/proxy/threads.ts'

const query = (sql: string) => Buffer.from(`\x03${sql}`)

test('KILL of a number that a client was told is translated, and nothing else', () => {
  const threads = createThreads()
  const id = threads.next()
  const forget = threads.add(id, 7)
  for (const [given, translated] of [
    [`KILL ${id}`, 'KILL 7'],
    [`kill query ${id}`, 'kill query 7'],
    [`  KILL CONNECTION ${id} ; `, '  KILL CONNECTION 7 ; '],
    [`KILL /*!50000 QUERY */ ${id}`, 'KILL /*!50000 QUERY */ 7'],
    [`KILL ${id + 1}`, undefined],
    ['KILL 7', undefined],
    [`SELECT ${id}`, undefined],
    [`KILL ${id}0`, undefined],
    [`KILL ${id}; SELECT 1`, undefined],
    [`KILLER ${id}`, undefined],
    [`KILL ${id} ${'-- '.repeat(30)}`, undefined],
  ] as const)
    assert.equal(threads.translate(query(given))?.toString('latin1', 1), translated, given)
  forget()
  assert.equal(threads.translate(query(`KILL ${id}`)), undefined)
})

test('COM_PROCESS_KILL is translated too', () => {
  const threads = createThreads()
  const id = threads.next()
  threads.add(id, 7)
  const command = Buffer.from([0x0c, 0, 0, 0, 0])
  command.writeUInt32LE(id, 1)
  assert.deepEqual(threads.translate(command), Buffer.from([0x0c, 7, 0, 0, 0]))
  assert.equal(threads.translate(Buffer.from([0x0c, 7, 0, 0, 0])), undefined)
})

test('no number is one that a server has counted to, and none comes twice', () => {
  const threads = createThreads()
  const ids = Array.from({ length: 1_000 }, () => threads.next())
  assert.equal(new Set(ids).size, 1_000)
  assert.ok(ids.every(id => id >= 0xf000_0000 && id <= 0xffff_ffff))
})

test('COM_CHANGE_USER is known by the name behind it: the contents of a file may begin with its byte', () => {
  assert.equal(isChangeUser(Buffer.from('\x11app\0\x14rest'), 'app'), true)
  assert.equal(isChangeUser(Buffer.from('\x11app'), 'app'), false)
  assert.equal(isChangeUser(Buffer.from('\x11apple\0'), 'app'), false)
  assert.equal(isChangeUser(Buffer.from('\x03app\0'), 'app'), false)
})
