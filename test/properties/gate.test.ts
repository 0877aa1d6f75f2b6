import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { limitConnections } from '../../kit/src/gateway/limit.ts'
import { countTokens } from '../../kit/src/gateway/token-count.ts'
import { assertProperty } from '../support/properties.ts'

test('the limit lets so many through in any second, and shuts nobody out for long, wherever the clock goes', () => {
  const moves = fc.array(
    fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: -100_000, max: 100_000 })),
  )
  assertProperty(
    fc.property(fc.integer({ min: 1, max: 5 }), moves, (perSecond, moves) => {
      const pass = limitConnections(perSecond)
      const passed: number[] = []
      let nowMs = 0
      for (const ms of moves) {
        nowMs += ms
        // What was let through before the clock was set back is of another time.
        if (ms < 0) passed.splice(0)
        if (pass(nowMs)) passed.push(nowMs)
        assert.ok(passed.filter(atMs => nowMs - atMs < 1_000).length <= perSecond)
      }
      assert.ok(pass(nowMs + 2_000))
    }),
  )
})

test('tokens are counted once each, and forgotten when they can come no more', () => {
  const minute = 60_000
  // Each token comes for twenty minutes at most, as often as it likes.
  const uses = fc.array(fc.record({ token: fc.nat({ max: 50 }), minute: fc.nat({ max: 20 }) }))
  assertProperty(
    fc.property(uses, uses => {
      const count = countTokens()
      const inTime = uses
        .map(({ token, minute }) => ({ id: `token ${token}`, atMinute: token * 3 + minute }))
        .sort((one, other) => one.atMinute - other.atMinute)
      for (const { id, atMinute } of inTime) count.add(id, atMinute * minute)
      assert.equal(count.total(), new Set(inTime.map(({ id }) => id)).size)
    }),
  )
  const count = countTokens()
  for (let number = 0; number < 10_000; number += 1) count.add(`${number}`.padStart(12, '0'), number * minute)
  assert.equal(count.total(), 10_000)
  // The one that is long gone is taken for a new one: it was not kept.
  count.add('000000000000', 10_000 * minute)
  assert.equal(count.total(), 10_001)
})
