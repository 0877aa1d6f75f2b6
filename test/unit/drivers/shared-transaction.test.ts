import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beginsTransaction, warnOfSharedTransaction } from '../../../src/drivers/shared-transaction.ts'

test('warns once in a process, and names the pool that gives each caller a connection of its own', t => {
  const warn = t.mock.method(process, 'emitWarning', () => {})
  warnOfSharedTransaction('iamPgPool')
  warnOfSharedTransaction('iamMysqlPool')
  assert.equal(warn.mock.callCount(), 1)
  const [message, options] = (warn.mock.calls[0]?.arguments ?? []) as unknown[]
  assert.match(
    String(message),
    /^A connection was used inside a transaction .* out of a pool: iamPgPool, for example\.$/,
  )
  assert.deepEqual(options, { type: 'RdsIamWarning', code: 'RDS_IAM_SHARED_TRANSACTION' })
})

test('knows a statement that begins a transaction', () => {
  for (const sql of [
    'BEGIN',
    'begin;',
    ' \n\tBegin Work',
    'START TRANSACTION READ ONLY',
    'start  \n transaction',
  ])
    assert.equal(beginsTransaction(sql), true, sql)
  for (const sql of [
    'BEGINNING',
    'SELECT 1; BEGIN',
    'STARTTRANSACTION',
    'START SLAVE',
    'COMMIT',
    '',
    undefined,
    { text: 'BEGIN' },
    ['BEGIN'],
  ])
    assert.equal(beginsTransaction(sql), false, JSON.stringify(sql))
})
