import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createPrefetch } from '../../../src/connection/prefetch.ts'
import type { Effort } from '../../../src/retries/effort.ts'
import { createListeningAccess } from '../../support/fake-session.ts'

const now = Date.UTC(2026, 0, 1)
const turn = () => new Promise(resolve => setImmediate(resolve))
const late = () => new Error('too late')
const refused = Object.assign(new Error('PAM authentication failed for user "app"'), { code: '28000' })

/** A prefetch with ten seconds, which the test ends, and time that passes as it says. */
function begin(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now })
  const { access } = createListeningAccess()
  const prefetch = createPrefetch(access)
  const connecting = Promise.withResolvers<void>()
  let effort: Effort | undefined
  prefetch.begin(now + 10_000, given => {
    effort = given
    return connecting.promise
  })
  assert.ok(effort)
  return { access, prefetch, connecting, effort }
}

const wait = (bench: ReturnType<typeof begin>, leftMs: number) =>
  bench.prefetch.wait({ deadlineMs: Date.now() + leftMs, account: '123456789012' }, late)

test('is not under way before it has begun, and nobody waits for it', async () => {
  const prefetch = createPrefetch(createListeningAccess().access)
  assert.deepEqual([prefetch.isPending(), prefetch.isStale()], [false, false])
  assert.equal(prefetch.failedEffort(), undefined)
  assert.equal(await prefetch.wait({ deadlineMs: 0, account: undefined }, late), true)
})

test('is waited for until it has ended, and leaves nothing behind where it was successful', async t => {
  const bench = begin(t)
  const { prefetch, connecting, effort } = bench
  assert.equal(effort.startedMs, now)
  assert.deepEqual([prefetch.isPending(), prefetch.isStale()], [true, false])
  let hasEnded: boolean | undefined
  const waiting = wait(bench, 60_000).then(ended => {
    hasEnded = ended
  })
  await turn()
  assert.equal(hasEnded, undefined)
  connecting.resolve()
  await waiting
  assert.equal(hasEnded, true)
  assert.deepEqual([prefetch.isPending(), prefetch.isStale()], [false, false])
  assert.equal(prefetch.failedEffort(), undefined)
})

test('hands on what it tried in vain, to each who has waited for it', async t => {
  const bench = begin(t)
  bench.effort.attempts = 3
  bench.connecting.reject(new Error('no'))
  assert.equal(await wait(bench, 60_000), true)
  const [one, other] = [bench.prefetch.failedEffort(), bench.prefetch.failedEffort()]
  assert.equal(one?.attempts, 3)
  assert.deepEqual(one, other)
  assert.notEqual(one, other)
})

test('has nobody wait beyond a deadline of their own, and says that there was no time', async t => {
  const bench = begin(t)
  const waiting = wait(bench, 5_000)
  t.mock.timers.tick(5_000)
  await assert.rejects(waiting, { message: 'too late' })
})

test('says what it has seen itself to who can wait no longer, and remembers refusals', async t => {
  const bench = begin(t)
  Object.assign(bench.effort, { attempts: 7, refusals: 7, cause: { error: refused, use: 'sent' } })
  const waiting = wait(bench, 5_000)
  t.mock.timers.tick(5_000)
  await assert.rejects(waiting, {
    code: 'RDS_IAM_ACCESS_DENIED',
    message: /after 7 attempts in 5\.0 s: PAM authentication failed/,
  })
  assert.deepEqual(bench.access.refusals.known(), { count: 7, sinceMs: now, latestMs: now + 5_000 })
})

test('is given up where a freeze has used up its time, without an error', async t => {
  const bench = begin(t)
  t.mock.timers.setTime(now + 9_999)
  assert.deepEqual([bench.prefetch.isPending(), bench.prefetch.isStale()], [true, false])
  const waiting = wait(bench, 60_000)
  t.mock.timers.tick(1)
  assert.equal(await waiting, false)
  assert.deepEqual([bench.prefetch.isPending(), bench.prefetch.isStale()], [false, true])
  assert.equal(bench.prefetch.failedEffort(), undefined)
})

test('is forgotten, whatever becomes of it later', async t => {
  const { prefetch, connecting, effort } = begin(t)
  prefetch.forget()
  assert.deepEqual([prefetch.isPending(), prefetch.isStale()], [false, false])
  assert.equal(await prefetch.wait({ deadlineMs: now, account: undefined }, late), true)
  effort.attempts = 1
  connecting.reject(new Error('no'))
  await turn()
  assert.equal(prefetch.failedEffort(), undefined)
})

test('begins anew, and an earlier one that ends changes nothing of that', async t => {
  const { prefetch, connecting } = begin(t)
  const second = Promise.withResolvers<void>()
  prefetch.begin(now + 20_000, () => second.promise)
  connecting.reject(new Error('no'))
  await turn()
  assert.equal(prefetch.isPending(), true)
  assert.equal(prefetch.failedEffort(), undefined)
  t.mock.timers.setTime(now + 19_999)
  assert.equal(prefetch.isPending(), true)
  second.resolve()
  await turn()
  assert.equal(prefetch.isPending(), false)
})
