import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Caller, createCallers, outside } from '../../../src/drivers/callers.ts'

const caller = (id: string): Caller => ({ id, hasEnded: false, wasCutOff: false })

function createBench() {
  const told: Caller[] = []
  return { told, callers: createCallers(late => told.push(late)) }
}

/** Runs something in an asynchronous context of its own. */
const apart = (run: () => void | Promise<void>): Promise<void> =>
  new Promise((resolve, reject) => {
    setImmediate(() => Promise.resolve().then(run).then(resolve, reject))
  })

test('knows nobody before somebody has entered, and drops nothing then', () =>
  apart(() => {
    const { callers, told } = createBench()
    assert.equal(callers.current(), undefined)
    assert.equal(callers.isWithin(caller('a')), false)
    assert.equal(callers.isLate({ user: caller('a') }), false)
    assert.deepEqual(told, [])
  }))

test('tells two callers that run side by side apart', async () => {
  const { callers } = createBench()
  const [a, b] = [caller('a'), caller('b')]
  const run = (own: Caller, other: Caller) =>
    apart(async () => {
      callers.enter(own)
      await new Promise(resolve => setImmediate(resolve))
      assert.equal(callers.current(), own)
      assert.deepEqual([callers.isWithin(own), callers.isWithin(other)], [true, false])
    })
  await Promise.all([run(a, b), run(b, a)])
})

test('takes what a caller sends for late where another one has the connection, and tells of it', () =>
  apart(() => {
    const { callers, told } = createBench()
    const [a, b] = [caller('a'), caller('b')]
    callers.enter(a)
    assert.equal(callers.isLate({ user: undefined }), false)
    assert.equal(callers.isLate({ user: a }), false)
    assert.deepEqual(told, [])
    assert.equal(callers.isLate({ user: b }), true)
    assert.deepEqual(told, [a])
    // Nobody has it any more, and who asks is not late.
    b.hasEnded = true
    assert.equal(callers.isLate({ user: b }), false)
    assert.deepEqual(told, [a])
  }))

test('takes what a caller sends after its end for late, whoever has the connection', () =>
  apart(() => {
    const { callers, told } = createBench()
    const [a, b] = [caller('a'), caller('b')]
    callers.enter(a)
    a.hasEnded = true
    assert.equal(callers.current(), undefined)
    assert.equal(callers.isWithin(a), false)
    assert.equal(callers.isLate({ user: undefined }), false)
    for (const user of [a, b]) assert.equal(callers.isLate({ user }), true)
    b.hasEnded = true
    b.wasCutOff = true
    assert.equal(callers.isLate({ user: b }), true)
    assert.deepEqual(told, [a, a, a])
  }))

test('lets a caller that was cut off hear how its own queries fail', () =>
  apart(() => {
    const { callers, told } = createBench()
    const [a, b] = [caller('a'), caller('b')]
    callers.enter(a)
    a.hasEnded = true
    a.wasCutOff = true
    assert.equal(callers.isLate({ user: a }), false)
    assert.deepEqual(told, [])
    assert.equal(callers.isLate({ user: b }), true)
  }))

test('has a caller inside another one, which goes on behind it', () =>
  apart(() => {
    const { callers, told } = createBench()
    const [a, b, c] = [caller('a'), caller('b'), caller('c')]
    callers.enter(a)
    callers.enter(b)
    assert.equal(callers.current(), b)
    assert.deepEqual([callers.isWithin(a), callers.isWithin(b)], [true, true])
    assert.equal(callers.isLate({ user: a }), false)
    b.hasEnded = true
    assert.equal(callers.current(), a)
    assert.deepEqual([callers.isWithin(a), callers.isWithin(b)], [true, false])
    // Nobody else has what the inner one had.
    assert.equal(callers.isLate({ user: b }), false)
    assert.deepEqual(told, [])
    assert.equal(callers.isLate({ user: c }), true)
    assert.deepEqual(told, [b])
    a.hasEnded = true
    assert.equal(callers.current(), undefined)
  }))

test('leaves out callers in between that have ended', () =>
  apart(() => {
    const { callers } = createBench()
    const all = [caller('a'), caller('b'), caller('c'), caller('d')] as const
    const [a, b, c, d] = all
    for (const each of all) callers.enter(each)
    b.hasEnded = true
    c.hasEnded = true
    assert.equal(callers.current(), d)
    assert.deepEqual(
      all.map(each => callers.isWithin(each)),
      [true, false, false, true],
    )
    d.hasEnded = true
    assert.equal(callers.current(), a)
  }))

test('runs what belongs to nobody outside of every caller', () =>
  apart(() => {
    const { callers } = createBench()
    callers.enter(caller('a'))
    assert.equal(
      outside(() => callers.current()),
      undefined,
    )
    assert.equal(callers.current()?.id, 'a')
  }))
