import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectDeadline, initialisation, readInvocation } from '../../../src/connection/invocation.ts'

const now = Date.UTC(2026, 0, 1)
const context = {
  awsRequestId: '00000000-0000-4000-8000-000000000001',
  invokedFunctionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:notes',
  getRemainingTimeInMillis: () => 3_000,
}
const expected = {
  id: context.awsRequestId,
  hasEnded: false,
  wasCutOff: false,
  deadlineMs: now + 3_000,
  account: '123456789012',
}

test('reads Lambda’s context, on its own and inside that of a durable function', t => {
  t.mock.timers.enable({ apis: ['Date'], now })
  assert.deepEqual(readInvocation(context), expected)
  assert.deepEqual(readInvocation({ lambdaContext: context }), expected)
  assert.deepEqual(readInvocation({ ...context, awsRequestId: 'outer', lambdaContext: context }), expected)
})

test('knows no end where the context tells none, and nothing else that it does not tell', () => {
  for (const given of [{}, { getRemainingTimeInMillis: () => Number.NaN }])
    assert.deepEqual(readInvocation(given), {
      id: undefined,
      hasEnded: false,
      wasCutOff: false,
      deadlineMs: Number.POSITIVE_INFINITY,
      account: undefined,
    })
  assert.equal(readInvocation({ invokedFunctionArn: 'notes' }).account, undefined)
})

test('leaves a fifth of a second of an invocation to its handler, and waits no longer than it may', t => {
  t.mock.timers.enable({ apis: ['Date'], now })
  assert.equal(connectDeadline(readInvocation(context), 10_000), now + 2_800)
  assert.equal(connectDeadline(readInvocation(context), 1_000), now + 1_000)
  assert.equal(connectDeadline(initialisation, 10_000), now + 10_000)
  assert.deepEqual(
    { ...initialisation },
    { ...expected, id: undefined, account: undefined, deadlineMs: Number.POSITIVE_INFINITY },
  )
})
