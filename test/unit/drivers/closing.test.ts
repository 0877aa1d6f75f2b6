import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClosing } from '../../../src/drivers/closing.ts'

const turn = () => new Promise(resolve => setImmediate(resolve))

test('ends the rest after five seconds, where something stays in use', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const closing = createClosing(() => false)
  let ends = 0
  const closed = closing.close(async () => {
    ends += 1
  })
  assert.equal(closing.isClosed(), true)
  t.mock.timers.tick(4_999)
  await turn()
  assert.equal(ends, 0)
  t.mock.timers.tick(1)
  await closed
  await closing.close(async () => assert.fail('ended twice'))
  assert.equal(ends, 1)
})

test('ends at once where nothing is in use, and when the last one is given back', async t => {
  // No time passes, so that nothing but that can be what ends it.
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let inUse = 0
  const isUnused = () => inUse === 0
  await createClosing(isUnused).close(async () => {})
  inUse = 1
  const closing = createClosing(isUnused)
  let isEnded = false
  const closed = closing.close(async () => {
    isEnded = true
  })
  closing.check()
  await turn()
  assert.equal(isEnded, false)
  inUse = 0
  closing.check()
  await closed
  assert.equal(isEnded, true)
})

test('is open until it is closed, waits for as long as it is told, and says whom it refuses', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let inUse = 0
  const closing = createClosing(() => inUse === 0)
  // What is given back before the end ends nothing.
  closing.check()
  assert.equal(closing.isClosed(), false)
  inUse = 1
  let ends = 0
  const end = async () => {
    ends += 1
  }
  const closed = closing.close(end, 100)
  assert.equal(closing.close(end), closed)
  t.mock.timers.tick(99)
  await turn()
  assert.equal(ends, 0)
  t.mock.timers.tick(1)
  assert.equal(await closed, undefined)
  const endpoint = { host: 'orders', port: 5432 }
  const error = closing.error({ ...endpoint, user: 'app', database: '', region: 'eu-west-1', endpoint })
  assert.equal(error.code, 'RDS_IAM_CLOSED')
  assert.match(
    error.message,
    /^The pool or middleware was closed; no connection is opened to app@orders:5432 in eu-west-1\. Close a pool/,
  )
})
