import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Session } from '../../../src/drivers/driver.ts'
import { checkSession, endsWithin, patienceMs } from '../../../src/drivers/session-check.ts'
import { createFakeSession, createListeningAccess } from '../../support/fake-session.ts'

const never = new Promise<never>(() => {})
const turn = () => new Promise(resolve => setImmediate(resolve))
const now = Date.UTC(2026, 0, 1)

/** Checks a session, with time that passes as the test says. */
function begin(
  t: TestContext,
  changes: Partial<Session>,
  { silenceMs = 10_000, pingAfterMs = 1_000, leftMs = 60_000 } = {},
) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now })
  const { access, events } = createListeningAccess()
  const session = createFakeSession(changes)
  let found: string | undefined
  const checking = checkSession(access, session, { silenceMs, pingAfterMs, deadlineMs: now + leftMs }).then(
    reason => {
      found = reason ?? 'in order'
    },
  )
  return {
    session,
    events,
    async pass(ms: number) {
      await turn()
      t.mock.timers.tick(ms)
      await turn()
      return found
    },
    async end() {
      await checking
      return found
    },
  }
}

test('asks a session that has been silent for a sign of life, and tells of it', async t => {
  for (const silenceMs of [1_000, 10_000]) {
    const { session, events, end } = begin(t, {}, { silenceMs })
    assert.equal(await end(), 'in order')
    assert.deepEqual(session.calls, ['ping'])
    const [{ event, silenceMs: told, durationMs } = {}] = events as unknown as Record<string, unknown>[]
    assert.deepEqual([event, told, events.length], ['connection:checked', silenceMs, 1])
    assert.ok(Number(durationMs) >= 0 && Number(durationMs) < 60_000)
    t.mock.timers.reset()
  }
})

test('asks nothing of a session that has just been used, and waits until it is restored', async t => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const { session, events, pass, end } = begin(t, { restoration: promise }, { silenceMs: 999 })
  assert.equal(await pass(900), undefined)
  resolve(true)
  assert.equal(await end(), 'in order')
  assert.deepEqual([session.calls, events], [[], []])
})

test('takes a session that needs neither at once', async t => {
  assert.equal(await begin(t, {}, { silenceMs: 0 }).end(), 'in order')
})

for (const [isUsable, reason] of [
  [true, 'not-restored'],
  [false, 'lost'],
] as const) {
  test(`does not ask a session that could not be restored: ${reason}`, async t => {
    const given = { restoration: Promise.resolve(false), isUsable: () => isUsable }
    const { session, events, end } = begin(t, given)
    assert.equal(await end(), reason)
    assert.deepEqual([session.calls, events], [[], []])
  })
}

test('takes a session whose server answers with an error for silent', async t => {
  const { events, end } = begin(t, { ping: () => Promise.reject(new Error('the socket ended')) })
  assert.equal(await end(), 'silent')
  assert.deepEqual(events, [])
})

for (const [title, given, silence, waitsMs, reason] of [
  ['a ping for a second', { ping: () => never }, {}, 1_000, 'silent'],
  ['a ping for half of the time that is left', { ping: () => never }, { leftMs: 600 }, 300, 'silent'],
  ['a restoration for a second', { restoration: never }, { silenceMs: 0 }, 1_000, 'not-restored'],
  [
    'a restoration for half of the time that is left',
    { restoration: never },
    { silenceMs: 0, leftMs: 600 },
    300,
    'not-restored',
  ],
  [
    'a restoration for a moment where no time is left',
    { restoration: never },
    { silenceMs: 0, leftMs: 10 },
    50,
    'not-restored',
  ],
] as const) {
  test(`waits for ${title}`, async t => {
    const { pass } = begin(t, given, silence)
    assert.equal(await pass(waitsMs - 1), undefined)
    assert.equal(await pass(1), reason)
  })
}

test('does not wait for a ping where no time is left', async t => {
  const { pass } = begin(t, { ping: () => never }, { leftMs: -600 })
  assert.equal(await pass(0), 'silent')
})

test('is patient for a third of the time that connecting took, within bounds, and longer after use', () => {
  assert.deepEqual(
    [0, 90, 150, 300, 3_000].map(connectMs => patienceMs(connectMs, true)),
    [30, 30, 50, 100, 100],
  )
  assert.equal(patienceMs(3_000, false), 250)
})

test('says whether a promise has settled within a time, however it did', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  assert.equal(await endsWithin(Promise.resolve(), 100), true)
  assert.equal(await endsWithin(Promise.reject(new Error('no')), 100), true)
  let isOver: boolean | undefined
  const waiting = endsWithin(never, 100).then(ended => {
    isOver = ended
  })
  t.mock.timers.tick(99)
  await turn()
  assert.equal(isOver, undefined)
  t.mock.timers.tick(1)
  await waiting
  assert.equal(isOver, false)
})

test('finds an answer that a busy process has beside its timer', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { promise, resolve } = Promise.withResolvers<void>()
  const waiting = endsWithin(promise, 100)
  t.mock.timers.tick(100)
  setImmediate(resolve)
  assert.equal(await waiting, true)
})
