import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Storm, simulateStorm } from '../../../bench/storm.ts'
import { simulateOutage } from '../../../bench/storm-outage.ts'
import { createVirtualClock } from '../../../bench/virtual-clock.ts'

const storm: Storm = {
  environments: 60,
  perSecond: 20,
  answer: 'throttled',
  limit: 'even',
  strategy: 'full jitter',
  seed: 1,
  maxAttempts: 20_000,
}

test('lets virtual time pass only when all has been done that was due, in order', async () => {
  const clock = createVirtualClock(() => 0)
  const startMs = clock.now()
  const seen: string[] = []
  const live = async (name: string, ms: number) => {
    for (let count = 0; count < 2; count += 1) {
      await clock.sleep(ms)
      await Promise.resolve()
      seen.push(`${name} ${clock.now() - startMs}`)
    }
  }
  const lives = [live('a', 30), live('b', 20), live('c', 0)]
  await clock.run(() => false)
  await Promise.all(lives)
  assert.deepEqual(seen, ['c 0', 'c 0', 'b 20', 'a 30', 'b 40', 'a 60'])
})

for (const answer of ['throttled', 'refused'] as const) {
  for (const limit of ['even', 'window'] as const) {
    test(`connects every environment near the ideal, with no failed invocation, where the server is ${answer}, ${limit}`, async () => {
      const result = await simulateStorm({ ...storm, answer, limit })
      assert.equal(result.connected, 60)
      assert.equal(result.failedInvocations, 0)
      assert.ok(result.elapsedMs < 2 * 3_000, `${result.elapsedMs} ms`)
      // The limit was in the way, and was kept.
      assert.ok(result.elapsedMs > 1_900, `${result.elapsedMs} ms`)
      assert.ok(result.attempts > 120, `${result.attempts} attempts`)
    })
  }
}

test('keeps to the budget: 1 000 environments at 200 a second within 1.3 times the ideal, and no failed invocation', async () => {
  for (const answer of ['throttled', 'refused'] as const) {
    const big = { ...storm, answer, environments: 1_000, perSecond: 200 }
    const { connected, elapsedMs, failedInvocations } = await simulateStorm(big)
    assert.deepEqual({ connected, failedInvocations }, { connected: 1_000, failedInvocations: 0 })
    assert.ok(elapsedMs <= 1.3 * 5_000, `${elapsedMs} ms`)
  }
})

test('carries 20 environments through a limit of 5 a second well within a function of 6 s', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const { connected, worstWaitMs } = await simulateStorm({
      ...storm,
      ...{ answer: 'refused', limit: 'window', environments: 20, perSecond: 5, seed },
    })
    assert.equal(connected, 20)
    assert.ok(worstWaitMs < 5_800, `${worstWaitMs} ms with seed ${seed}`)
  }
})

test('makes the same of the same seed, and something else of another', async () => {
  const [one, again, other] = [
    await simulateStorm(storm),
    await simulateStorm(storm),
    await simulateStorm({ ...storm, seed: 2 }),
  ]
  assert.deepEqual(one, again)
  assert.notDeepEqual(one, other)
})

test('counts the invocations that fail because their time is over', async () => {
  const { connected, failedInvocations, worstWaitMs } = await simulateStorm({ ...storm, perSecond: 5 })
  assert.equal(connected, 60)
  assert.ok(failedInvocations > 0)
  assert.ok(worstWaitMs <= 10_000 + 50)
})

test('stops where it is told to', async () => {
  const { connected, attempts } = await simulateStorm({ ...storm, strategy: 'immediate', maxAttempts: 200 })
  assert.ok(connected < 60)
  assert.ok(attempts >= 200 && attempts < 400)
})

test('keeps to the budget: a wrong policy costs later invocations one login and half a second, and is over at once when mended', async () => {
  const outage = { requestsPerSecond: 10, perSecond: 10, brokenMs: 42_000, mendedMs: 12_000, seed: 1 }
  const before = await simulateOutage({ ...outage, remembers: false })
  const after = await simulateOutage({ ...outage, remembers: true })
  assert.ok(before.mostLoginsLater > 15 && before.mostAtOnceLater > 80)
  assert.ok(after.mostLoginsLater <= 1, `${after.mostLoginsLater} logins`)
  assert.ok(after.worstMsLater <= 500, `${after.worstMsLater} ms`)
  assert.ok(after.loginsPerSecondLater < 12 && after.mostAtOnceLater < 20)
  assert.ok(after.recoveryMs <= before.recoveryMs, `${after.recoveryMs} ms after ${before.recoveryMs} ms`)
})
