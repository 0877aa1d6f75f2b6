import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVirtualClock } from '../../../bench/virtual-clock.ts'
import { createConnector, outOfTime } from '../../../src/connection/connector.ts'
import { createCallers } from '../../../src/drivers/callers.ts'
import type { Connect, ConnectRequest } from '../../../src/drivers/driver.ts'
import type { Asker } from '../../../src/retries/retry.ts'
import { createFakeSession, createListeningAccess, type FakeSession } from '../../support/fake-session.ts'

interface Conduct {
  /** What the attempt fails with, where it does. */
  readonly error?: Error
  readonly asksForToken?: boolean
  readonly takesMs?: number
  readonly takesWrites?: boolean
}

/** A driver that does one thing after the other, the last one for ever, by a clock that the test has. */
function createBench(conducts: readonly Conduct[], targetSessionAttrs: 'any' | 'read-write' = 'any') {
  const clock = createVirtualClock(() => 0.5)
  const { access, events } = createListeningAccess()
  const requests: ConnectRequest[] = []
  const sessions: FakeSession[] = []
  const connect: Connect<number> = async request => {
    requests.push(request)
    const number = requests.length
    const {
      error,
      asksForToken = true,
      takesMs = 20,
      takesWrites = true,
    } = conducts[Math.min(number, conducts.length) - 1] ?? {}
    await new Promise<void>((resolve, reject) => {
      clock.after(takesMs, resolve)
      request.signal?.addEventListener('abort', () => reject(new Error('given up')))
    })
    if (asksForToken) await request.token()
    if (error !== undefined) throw error
    const session = createFakeSession({ takesWrites: () => takesWrites })
    sessions.push(session)
    return { connection: number, session }
  }
  const settings = { connectTimeoutMs: 10_000, retryRefused: true, targetSessionAttrs }
  const connector = createConnector({ connect, access, settings, clock })
  return {
    ...{ access, clock, events, requests, sessions },
    async open(asker: Partial<Asker> & { readonly budgetMs?: number } = {}) {
      const { budgetMs = 10_000, ...rest } = asker
      const opening = connector({ deadlineMs: clock.now() + budgetMs, account: undefined, ...rest })
      let isOver = false
      const over = () => {
        isOver = true
      }
      opening.then(over, over)
      await clock.run(() => isOver)
      return opening
    },
  }
}

const throttled = Object.assign(new Error('sorry, too many clients already'), { code: '53300' })
const named = (events: readonly { readonly event: string }[], event: string) =>
  events.filter(each => each.event === event) as readonly Record<string, unknown>[]

test('connects with verified TLS and all the time that there is, and tells of it', async () => {
  const bench = createBench([{}])
  const { connection } = await bench.open()
  assert.equal(connection, 1)
  const [request] = bench.requests
  assert.equal(request?.tls, bench.access.trust.tls)
  assert.equal(request?.tls.ca.length, 8)
  assert.ok(request !== undefined && request.timeoutMs > 9_000 && request.timeoutMs <= 10_000)
  const [opened, ...others] = named(bench.events, 'connection:opened')
  assert.equal(others.length, 0)
  assert.equal(opened?.tokenReused, false)
  assert.ok(Number(opened?.durationMs) >= 0 && Number(opened?.durationMs) < 10_000)
})

test('gives the token of the attempt while it connects, and a token that lives to who authenticates later', async t => {
  const bench = createBench([{}])
  const { value } = (await bench.access.tokens.get()).token
  await bench.open()
  assert.equal(named(bench.events, 'connection:opened')[0]?.tokenReused, true)
  const [request] = bench.requests
  assert.equal((await request?.token())?.value, value)
  const hourLater = Date.now() + 3_600_000
  t.mock.timers.enable({ apis: ['Date'], now: hourLater })
  assert.ok(((await request?.token())?.signedAtMs ?? 0) >= hourLater - 1_000)
})

test('signs while the socket connects', async () => {
  const bench = createBench([{ asksForToken: false }])
  await bench.open()
  assert.equal((await bench.access.tokens.get()).reused, true)
})

test('opens a connection outside of every caller', async () => {
  const callers = createCallers(() => {})
  let seen: unknown = 'nobody has connected'
  const { access } = createListeningAccess()
  const connect: Connect<number> = async () => {
    seen = callers.current()
    return { connection: 1, session: createFakeSession() }
  }
  const settings = { connectTimeoutMs: 10_000, retryRefused: true, targetSessionAttrs: 'any' } as const
  callers.enter({ id: 'a', hasEnded: false, wasCutOff: false })
  await createConnector({ connect, access, settings })({
    deadlineMs: Date.now() + 10_000,
    account: undefined,
  })
  assert.equal(seen, undefined)
})

test('tries again what passes, and connects with the time that is left then', async () => {
  const bench = createBench([{ error: throttled }, {}])
  assert.equal((await bench.open()).connection, 2)
  assert.equal(named(bench.events, 'connection:retried').length, 1)
  const [first, second] = bench.requests
  assert.ok((second?.timeoutMs ?? 0) < (first?.timeoutMs ?? 0))
})

test('says that no time was left where there was none from the start, and dials nobody', async () => {
  for (const budgetMs of [0, -1]) {
    const bench = createBench([{}])
    await assert.rejects(bench.open({ budgetMs }), {
      code: 'RDS_IAM_UNREACHABLE',
      message: /the invocation has no time left to connect/,
    })
    assert.equal(bench.requests.length, 0)
  }
})

test('gives up a connection that is silent, and closes one that comes too late', async () => {
  const silent = { takesMs: 60_000 }
  const bench = createBench([silent, {}])
  assert.equal((await bench.open()).connection, 2)
  assert.equal(bench.requests[0]?.signal?.aborted, true)
  assert.equal(bench.requests[1]?.signal?.aborted, false)
  // Two are ready in the same moment: the second one is silent for two seconds less.
  const both = createBench([{ takesMs: 2_020 }, { takesMs: 20 }])
  const { connection } = await both.open()
  await both.clock.run(() => false)
  const closed = named(both.events, 'connection:closed')
  const other = both.sessions[connection === 1 ? 1 : 0]
  assert.deepEqual(closed, [{ event: 'connection:closed', reason: 'overtaken', connections: 1 }])
  assert.deepEqual(other?.calls, ['close'])
})

test('does not take an attempt for silent that waits for its token', async () => {
  const bench = createBench([{ takesMs: 20 }])
  const signing = Promise.withResolvers<never>()
  Object.assign(bench.access.tokens, { get: () => signing.promise })
  bench.clock.after(9_000, () => signing.reject(new Error('no credentials')))
  await assert.rejects(bench.open())
  assert.equal(named(bench.events, 'connection:retried').length, 0)
  assert.equal(bench.requests.length, 1)
})

test('looks for a writer where one is wanted, and closes the readers that it finds', async () => {
  const bench = createBench([{ takesWrites: false }, {}], 'read-write')
  assert.equal((await bench.open()).connection, 2)
  assert.deepEqual(named(bench.events, 'connection:closed'), [
    { event: 'connection:closed', reason: 'read-only', connections: 1 },
  ])
  assert.deepEqual(bench.sessions[0]?.calls, ['close'])
  const any = createBench([{ takesWrites: false }, {}])
  assert.equal((await any.open()).connection, 1)
})

test('lends a reader that is usable where there is no writer, and none that is not', async () => {
  const refused = Object.assign(new Error('password authentication failed'), { code: '28P01' })
  const failing = { error: refused, asksForToken: false }
  const bench = createBench([{ takesWrites: false }, failing], 'read-write')
  assert.equal((await bench.open()).connection, 1)
  const lost = createBench([{ takesWrites: false }, failing], 'read-write')
  const opening = lost.open()
  lost.clock.after(30, () => Object.assign(lost.sessions[0] ?? {}, { isUsable: () => false }))
  await assert.rejects(opening, { code: 'RDS_IAM_NOT_GRANTED' })
})

test('says that the time did not suffice, or that there was none', t => {
  const now = Date.UTC(2026, 0, 1)
  t.mock.timers.enable({ apis: ['Date'], now })
  const settings = { connectTimeoutMs: 3_000 }
  const [short, none] = [outOfTime(settings, now + 1), outOfTime(settings, now)]
  t.mock.timers.setTime(now + 10_000)
  assert.equal(short().message, 'no connection within 3000 ms, or the time that the invocation had left')
  assert.equal(none().message, 'the invocation has no time left to connect')
})
