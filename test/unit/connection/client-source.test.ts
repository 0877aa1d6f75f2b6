// What becomes of connections that belong to one invocation at a time; test/servers has real ones.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createClientSource } from '../../../src/connection/client-source.ts'
import type { Invocation } from '../../../src/connection/invocation.ts'
import type { Lease } from '../../../src/connection/source.ts'
import { createCallers } from '../../../src/drivers/callers.ts'
import type { Opened } from '../../../src/drivers/driver.ts'
import type { ConnectionSettings } from '../../../src/options/settings.ts'
import type { Asker } from '../../../src/retries/retry.ts'
import { createFakeSession, createListeningAccess, type FakeSession } from '../../support/fake-session.ts'

const now = Date.UTC(2026, 0, 1)

type Dialled = Asker & PromiseWithResolvers<Opened<number>>

/** Lets everything happen that needs no time. */
async function turns(): Promise<void> {
  for (let count = 0; count < 8; count += 1) await new Promise(resolve => setImmediate(resolve))
}

/** A source whose connections open at once, unless the test holds them back, and whose time passes as it says. */
function createBench(t: TestContext, changes: Partial<ConnectionSettings> = {}) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now })
  const { access, events } = createListeningAccess()
  const dialled: Dialled[] = []
  const sessions: FakeSession[] = []
  const bench = { isHeld: false }
  const open = (): Opened<number> => {
    const session = createFakeSession()
    sessions.push(session)
    return { connection: sessions.length, session }
  }
  const settings = {
    ...{ max: 1, oneAtATime: true, pingAfterIdleMs: 1_000, connectTimeoutMs: 10_000, resetSession: true },
    ...changes,
  } as ConnectionSettings
  const source = createClientSource<number>({
    connect(asker) {
      const dialling = { ...asker, ...Promise.withResolvers<Opened<number>>() }
      dialled.push(dialling)
      if (!bench.isHeld) dialling.resolve(open())
      return dialling.promise
    },
    access,
    settings,
    callers: createCallers(() => {}),
  })
  let invocations = 0
  return Object.assign(bench, {
    ...{ access, dialled, events, open, sessions, source },
    begin(leftMs = 60_000, id?: string): Invocation {
      invocations += 1
      return {
        id: id ?? `invocation ${invocations}`,
        hasEnded: false,
        wasCutOff: false,
        deadlineMs: Date.now() + leftMs,
        account: '123456789012',
      }
    },
    async pass(ms: number) {
      await turns()
      t.mock.timers.tick(ms)
      await turns()
    },
    closed: () =>
      events.flatMap(event => (event.event === 'connection:closed' ? [event.reason] : [])) as string[],
  })
}

type Bench = ReturnType<typeof createBench>

/** What came of asking for a connection, as far as it has come. */
function ask({ source }: Bench, invocation: Invocation) {
  let given: Lease<number> | undefined
  let error: (Error & { readonly code?: string }) | undefined
  Promise.resolve(source.acquire(invocation)).then(
    lease => {
      given = lease
    },
    failure => {
      error = failure
    },
  )
  return { lease: () => given, got: () => given?.connection, error: () => error }
}

/** Runs something in an asynchronous context of its own, as the runtime runs handlers. */
const apart = <T>(run: () => T | Promise<T>): Promise<T> =>
  new Promise(resolve => setImmediate(() => resolve(run())))

/** A source that keeps one connection, which has just been released. */
async function createUsed(t: TestContext, changes: Partial<ConnectionSettings> = {}): Promise<Bench> {
  const bench = createBench(t, changes)
  bench.source.release(await bench.source.acquire(bench.begin()))
  return bench
}

/** Several invocations at once, each with a connection of its own. */
async function acquireMany(bench: Bench, count: number): Promise<Lease<number>[]> {
  const leases: Lease<number>[] = []
  for (let number = 0; number < count; number += 1)
    leases.push(await bench.source.acquire(bench.begin(60_000, 'the same')))
  return leases
}

test('connects for the first invocation, in its time, and lends the connection to nobody else', async t => {
  const bench = createBench(t)
  const invocation = bench.begin(5_000)
  const lease = await bench.source.acquire(invocation)
  assert.equal(lease.connection, 1)
  const [{ deadlineMs, account, effort } = {} as Dialled] = bench.dialled
  assert.deepEqual(
    { deadlineMs, account, effort },
    { deadlineMs: now + 4_800, account: '123456789012', effort: undefined },
  )
  assert.equal(bench.sessions[0]?.user, invocation)
  assert.deepEqual(bench.sessions[0]?.calls, ['ref'])
  bench.source.begin(lease)
  assert.deepEqual(bench.sessions[0]?.calls, ['ref', 'begin'])
  assert.equal(invocation.hasEnded, false)
})

test('gives the connection to the next invocation at once, without a promise', async t => {
  const bench = createBench(t)
  const first = bench.begin()
  bench.source.release(await bench.source.acquire(first))
  assert.equal(first.hasEnded, true)
  assert.deepEqual(bench.sessions[0]?.calls, ['ref', 'leave', 'unref'])
  const second = bench.begin()
  const lease = bench.source.acquire(second)
  assert.ok(!(lease instanceof Promise))
  assert.equal(lease.connection, 1)
  assert.equal(bench.sessions[0]?.user, second)
  assert.deepEqual([bench.dialled.length, bench.closed()], [1, []])
})

test('lends a connection that it gave at once to nobody else', async t => {
  const bench = await createUsed(t, { max: 2, oneAtATime: false })
  const first = bench.source.acquire(bench.begin())
  assert.ok(!(first instanceof Promise))
  const second = await bench.source.acquire(bench.begin())
  assert.deepEqual([first.connection, second.connection], [1, 2])
})

test('takes back what an earlier invocation has not released, although another connection is idle', async t => {
  const bench = createBench(t, { max: 2 })
  const earlier = bench.begin(60_000, 'the same')
  await apart(() => bench.source.acquire(earlier))
  const other = bench.begin(60_000, 'the same')
  await apart(async () => bench.source.release(await bench.source.acquire(other)))
  await apart(() => bench.source.acquire(bench.begin()))
  assert.equal(earlier.hasEnded, true)
})

for (const [title, laterMs, pings] of [
  ['does not ask a connection that has been silent for less than the option says', 999, []],
  ['asks a connection for a sign of life after the silence that the option says', 1_000, ['ping']],
] as const) {
  test(title, async t => {
    const bench = await createUsed(t)
    await bench.pass(laterMs)
    bench.sessions[0]?.calls.splice(0)
    const acquiring = bench.source.acquire(bench.begin())
    assert.ok(acquiring instanceof Promise)
    assert.equal((await acquiring).connection, 1)
    assert.deepEqual(bench.sessions[0]?.calls, [...pings, 'ref'])
    assert.equal(bench.dialled.length, 1)
  })
}

for (const [title, laterMs] of [
  ['at once', 0],
  ['after a freeze', 500],
] as const) {
  test(`replaces a connection that was lost: ${title}`, async t => {
    const bench = await createUsed(t)
    Object.assign(bench.sessions[0] ?? {}, { isUsable: () => false })
    await bench.pass(laterMs)
    const { connection } = await bench.source.acquire(bench.begin())
    assert.deepEqual([connection, bench.closed()], [2, ['lost']])
    assert.equal(bench.sessions[0]?.calls.at(-1), 'close')
  })
}

test('finds a connection whose end has arrived while the process was frozen', async t => {
  const bench = await createUsed(t)
  let hasEnded = false
  Object.assign(bench.sessions[0] ?? {}, { isUsable: () => !hasEnded })
  await bench.pass(500)
  const acquiring = bench.source.acquire(bench.begin())
  // The event loop delivers it in its next turn.
  setImmediate(() => {
    hasEnded = true
  })
  assert.equal((await acquiring).connection, 2)
  assert.deepEqual(bench.closed(), ['lost'])
})

test('takes a silence of just the time of the option for one that needs a sign of life, and little patience', async t => {
  const bench = await createUsed(t)
  await bench.pass(1_000)
  Object.assign(bench.sessions[0] ?? {}, { ping: () => new Promise(() => {}) })
  const asked = ask(bench, bench.begin())
  await bench.pass(30)
  assert.deepEqual([asked.got(), bench.closed()], [2, ['silent']])
})

test('waits for the restoration of a connection, also at once', async t => {
  const bench = createBench(t)
  const lease = await bench.source.acquire(bench.begin())
  Object.assign(bench.sessions[0] ?? {}, { isTouched: () => true })
  bench.source.release(lease)
  const [restoring] = bench.sessions[0]?.restorings ?? []
  assert.deepEqual([restoring?.rollback, restoring?.reset], [false, true])
  const asked = ask(bench, bench.begin())
  await turns()
  assert.equal(asked.lease(), undefined)
  restoring?.resolve(false)
  await turns()
  assert.equal(asked.got(), 1)
  assert.equal(bench.dialled.length, 1)
})

test('closes a connection that could not be restored, and none of the others', async t => {
  const bench = createBench(t, { max: 2 })
  const [one, other] = await acquireMany(bench, 2)
  assert.ok(one && other)
  bench.source.release(one)
  Object.assign(bench.sessions[1] ?? {}, { isTouched: () => true })
  bench.source.release(other)
  bench.sessions[1]?.restorings[0]?.reject(new Error('no'))
  await turns()
  assert.equal((await bench.source.acquire(bench.begin())).connection, 1)
  assert.deepEqual([bench.dialled.length, bench.closed()], [2, ['not-restored']])
})

test('closes with a connection that gave no sign of life all that have been silent for longer', async t => {
  const bench = createBench(t, { max: 3 })
  for (const lease of await acquireMany(bench, 3)) bench.source.release(lease)
  await bench.pass(5_000)
  Object.assign(bench.sessions[2] ?? {}, { ping: () => Promise.reject(new Error('no')) })
  assert.equal((await bench.source.acquire(bench.begin())).connection, 4)
  assert.deepEqual(bench.closed(), ['silent', 'silent', 'silent'])
  for (const session of bench.sessions.slice(0, 3)) assert.equal(session.calls.at(-1), 'close')
})

/** A source whose one connection is slow to answer, while another one is being opened beside it. */
async function createSlow(t: TestContext) {
  const bench = await createUsed(t)
  await bench.pass(5_000)
  bench.isHeld = true
  const ping = Promise.withResolvers<void>()
  Object.assign(bench.sessions[0] ?? {}, { ping: () => ping.promise })
  const asked = ask(bench, bench.begin())
  await bench.pass(29)
  assert.equal(bench.dialled.length, 1)
  await bench.pass(1)
  assert.equal(bench.dialled.length, 2)
  const { deadlineMs, account } = bench.dialled[1] as Dialled
  assert.deepEqual([deadlineMs, account], [now + 5_000 + 10_000, '123456789012'])
  assert.equal(asked.lease(), undefined)
  return { bench, ping, asked, beside: bench.dialled[1] as Dialled }
}

test('opens another one beside a connection that is slow to answer, and closes it where it is not needed', async t => {
  const { bench, ping, asked, beside } = await createSlow(t)
  ping.resolve()
  await turns()
  assert.equal(asked.got(), 1)
  assert.deepEqual(bench.closed(), [])
  beside.resolve(bench.open())
  await turns()
  assert.deepEqual(bench.closed(), ['overtaken'])
  assert.equal(bench.sessions[1]?.calls.at(-1), 'close')
})

test('does not mind where the one beside it fails later', async t => {
  const { bench, ping, asked, beside } = await createSlow(t)
  ping.resolve()
  await turns()
  beside.reject(new Error('no'))
  await turns()
  assert.deepEqual([asked.got(), bench.closed()], [1, []])
})

test('takes the one beside it where that is ready first, and closes the silent one', async t => {
  const { bench, asked, beside } = await createSlow(t)
  beside.resolve(bench.open())
  await turns()
  assert.deepEqual([asked.got(), bench.closed()], [2, ['silent']])
})

test('waits for the slow one where no other can be opened', async t => {
  const { bench, ping, asked, beside } = await createSlow(t)
  beside.reject(new Error('no'))
  await turns()
  assert.equal(asked.lease(), undefined)
  ping.resolve()
  await turns()
  assert.deepEqual([asked.got(), bench.closed()], [1, []])
})

test('fails with what the other one failed with, where both do', async t => {
  const { bench, ping, asked, beside } = await createSlow(t)
  const failure = new Error('no')
  beside.reject(failure)
  ping.reject(new Error('the socket ended'))
  await turns()
  assert.equal(asked.error(), failure)
  assert.deepEqual(bench.closed(), ['silent'])
})

test('waits for a restoration that takes its time before another one is opened beside it', async t => {
  const bench = createBench(t)
  const lease = await bench.source.acquire(bench.begin())
  Object.assign(bench.sessions[0] ?? {}, { isTouched: () => true })
  bench.source.release(lease)
  const asked = ask(bench, bench.begin())
  await bench.pass(249)
  assert.equal(bench.dialled.length, 1)
  await bench.pass(1)
  assert.equal(asked.got(), 2)
  assert.deepEqual(bench.closed(), ['not-restored'])
})

test('has an invocation wait for a connection where all are in use, and wakes it when one is released', async t => {
  const bench = createBench(t, { oneAtATime: false })
  const lease = await bench.source.acquire(bench.begin())
  const [second, third] = [ask(bench, bench.begin()), ask(bench, bench.begin())]
  await turns()
  assert.equal(bench.dialled.length, 1)
  bench.source.release(lease)
  await turns()
  assert.deepEqual([second.got(), third.lease()], [1, undefined])
  bench.source.discard(second.lease() as Lease<number>)
  await turns()
  assert.equal(third.got(), 2)
  assert.deepEqual(bench.closed(), ['cut-off'])
})

test('says that all connections are in use where an invocation has no more time, and wakes the next one', async t => {
  const bench = createBench(t, { oneAtATime: false, max: 2 })
  const [lease] = await acquireMany(bench, 2)
  const invocation = bench.begin(3_200)
  const [second, third] = [ask(bench, invocation), ask(bench, bench.begin())]
  await bench.pass(2_999)
  assert.equal(second.error(), undefined)
  await bench.pass(1)
  assert.equal(second.error()?.code, 'RDS_IAM_THROTTLED')
  assert.match(second.error()?.message ?? '', /all connections are in use \(max is 2\)/)
  assert.equal(invocation.hasEnded, true)
  // The place in the queue is free.
  bench.source.release(lease as Lease<number>)
  await turns()
  assert.equal(third.got(), 1)
})

test('wakes the next one where a connection could not be opened', async t => {
  const bench = createBench(t, { oneAtATime: false })
  bench.isHeld = true
  const first = ask(bench, bench.begin())
  await turns()
  const second = ask(bench, bench.begin())
  await turns()
  assert.equal(bench.dialled.length, 1)
  const failure = new Error('no')
  bench.dialled[0]?.reject(failure)
  await turns()
  assert.equal(first.error(), failure)
  assert.equal(bench.dialled.length, 2)
  bench.dialled[1]?.resolve(bench.open())
  await turns()
  assert.equal(second.got(), 1)
})

test('takes back what an earlier invocation has not released, where there is one at a time', async t => {
  const bench = createBench(t)
  const earlier = bench.begin()
  const lost = await apart(() => bench.source.acquire(earlier))
  await bench.pass(5_000)
  const { connection } = await bench.source.acquire(bench.begin())
  assert.deepEqual([connection, earlier.hasEnded, bench.closed()], [1, true, []])
  // Nobody knows when it was used last: the silence counts from when it was acquired.
  assert.ok(bench.sessions[0]?.calls.includes('ping'))
  bench.source.release(lost)
  const asked = ask(bench, bench.begin(60_000, 'invocation 2'))
  await turns()
  assert.equal(asked.lease(), undefined)
})

test('leaves an invocation its connection where it asks for another one, or others run beside it', async t => {
  for (const changes of [{ max: 2 }, { max: 2, oneAtATime: false }]) {
    const bench = createBench(t, changes)
    const outer = bench.begin()
    await bench.source.acquire(outer)
    const inner = bench.begin(60_000, changes.oneAtATime === false ? 'other' : String(outer.id))
    assert.equal((await bench.source.acquire(inner)).connection, 2)
    assert.equal(outer.hasEnded, false)
    t.mock.timers.reset()
  }
})

test('closes the connection of an invocation whose time is over', async t => {
  const bench = createBench(t, { oneAtATime: false })
  const earlier = bench.begin(1_000)
  await bench.source.acquire(earlier)
  await bench.pass(1_000)
  const asked = ask(bench, bench.begin())
  await turns()
  assert.deepEqual([earlier.hasEnded, asked.got()], [false, undefined])
  await bench.pass(1)
  assert.equal(asked.got(), 2)
  assert.deepEqual([earlier.hasEnded, earlier.wasCutOff, bench.closed()], [true, true, ['cut-off']])
})

test('waits until the time of an invocation is over, and takes its connection then', async t => {
  const bench = createBench(t, { oneAtATime: false })
  await bench.source.acquire(bench.begin(1_000))
  const asked = ask(bench, bench.begin())
  await bench.pass(1_000)
  assert.equal(asked.lease(), undefined)
  await bench.pass(1)
  assert.equal(asked.got(), 2)
  assert.deepEqual(bench.closed(), ['cut-off'])
})

test('closes the connection of a handler that was cut off, once', async t => {
  const bench = createBench(t)
  const invocation = bench.begin()
  const lease = await bench.source.acquire(invocation)
  bench.source.discard(lease)
  bench.source.discard(lease)
  bench.source.release(lease)
  assert.deepEqual([invocation.hasEnded, invocation.wasCutOff], [true, true])
  assert.deepEqual(bench.sessions[0]?.calls, ['ref', 'close'])
  assert.deepEqual(bench.closed(), ['cut-off'])
})

test('takes a connection back once, and closes one that cannot be used again', async t => {
  const bench = createBench(t)
  const lease = await bench.source.acquire(bench.begin())
  Object.assign(bench.sessions[0] ?? {}, { isBusy: () => true })
  bench.source.release(lease)
  bench.source.release(lease)
  assert.deepEqual([bench.sessions[0]?.calls, bench.closed()], [['ref', 'close'], ['query-running']])
  assert.equal((await bench.source.acquire(bench.begin())).connection, 2)
})

test('ends idle connections at shutdown, waits for their sockets, and then those that are released', async t => {
  const bench = createBench(t, { max: 2 })
  const [one, other] = await acquireMany(bench, 2)
  assert.ok(one && other)
  bench.source.release(one)
  const closing = Promise.withResolvers<void>()
  Object.assign(bench.sessions[0] ?? {}, { close: () => closing.promise })
  let isShut = false
  const shut = bench.source.shutDown().then(() => {
    isShut = true
  })
  await turns()
  assert.deepEqual([isShut, bench.closed()], [false, ['shutdown']])
  closing.resolve()
  await shut
  bench.source.release(other)
  assert.deepEqual(bench.closed(), ['shutdown', 'shutdown'])
  assert.equal(bench.sessions[1]?.calls.at(-1), 'close')
})

test('closes what is idle at once, what is in use when it is released, and gives nobody another one', async t => {
  const bench = createBench(t, { max: 2 })
  const [one, other] = await acquireMany(bench, 2)
  assert.ok(one && other)
  bench.source.release(one)
  let isClosed = false
  const closing = bench.source.close().then(() => {
    isClosed = true
  })
  const invocation = bench.begin()
  const late = ask(bench, invocation)
  await turns()
  assert.deepEqual([isClosed, bench.closed()], [false, ['shutdown']])
  assert.equal(late.error()?.code, 'RDS_IAM_CLOSED')
  assert.equal(invocation.hasEnded, true)
  bench.source.release(other)
  await closing
  assert.deepEqual(bench.closed(), ['shutdown', 'shutdown'])
  await bench.source.close()
})

test('cuts off after five seconds who has not released, and tells who waits that there will be none', async t => {
  const bench = createBench(t, { oneAtATime: false })
  const invocation = bench.begin()
  await bench.source.acquire(invocation)
  const waiting = ask(bench, bench.begin())
  await turns()
  const closing = bench.source.close()
  await turns()
  assert.equal(waiting.error()?.code, 'RDS_IAM_CLOSED')
  await bench.pass(4_999)
  assert.equal(invocation.wasCutOff, false)
  await bench.pass(1)
  await closing
  assert.deepEqual([invocation.wasCutOff, bench.closed()], [true, ['cut-off']])
})

test('connects ahead, and gives that connection to the first invocation', async t => {
  const bench = createBench(t)
  bench.source.prefetch()
  const [{ deadlineMs, account, isAhead, effort } = {} as Dialled] = bench.dialled
  assert.deepEqual([deadlineMs, account, isAhead], [now + 10_000, undefined, true])
  assert.equal(effort?.startedMs, now)
  await turns()
  assert.deepEqual(bench.sessions[0]?.calls, ['unref'])
  const lease = bench.source.acquire(bench.begin())
  assert.ok(!(lease instanceof Promise))
  assert.equal(lease.connection, 1)
})

test('has an invocation wait for what was begun ahead', async t => {
  const bench = createBench(t, { max: 2 })
  bench.isHeld = true
  bench.source.prefetch()
  const asked = ask(bench, bench.begin())
  await turns()
  assert.equal(bench.dialled.length, 1)
  bench.dialled[0]?.resolve(bench.open())
  await turns()
  assert.equal(asked.got(), 1)
})

test('goes on with what was tried in vain ahead, for whoever has waited for it', async t => {
  const bench = createBench(t)
  bench.isHeld = true
  bench.source.prefetch()
  const asked = ask(bench, bench.begin())
  await turns()
  const ahead = bench.dialled[0]
  if (ahead?.effort !== undefined) ahead.effort.attempts = 3
  ahead?.reject(new Error('no'))
  await turns()
  assert.equal(bench.dialled.length, 2)
  assert.equal(bench.dialled[1]?.effort?.attempts, 3)
  bench.dialled[1]?.resolve(bench.open())
  await turns()
  assert.equal(asked.got(), 1)
})

test('says what was wrong ahead where the time of an invocation is over, else that it did not suffice', async t => {
  const bench = createBench(t)
  bench.isHeld = true
  bench.source.prefetch()
  const asked = ask(bench, bench.begin(2_200))
  await bench.pass(1_999)
  assert.equal(asked.error(), undefined)
  await bench.pass(1)
  assert.equal(asked.error()?.code, 'RDS_IAM_UNREACHABLE')
  assert.match(
    asked.error()?.message ?? '',
    /no connection within 10000 ms, or the time that the invocation had left/,
  )
})

test('opens another one where what was begun ahead lost its time in a freeze, whatever the limit', async t => {
  const bench = createBench(t)
  bench.isHeld = true
  bench.source.prefetch()
  await turns()
  t.mock.timers.setTime(now + 60_000)
  bench.isHeld = false
  assert.equal((await bench.source.acquire(bench.begin())).connection, 1)
  assert.equal(bench.dialled.length, 2)
  // And one more is one too many.
  const asked = ask(bench, bench.begin(60_000, 'invocation 1'))
  await turns()
  assert.deepEqual([bench.dialled.length, asked.lease()], [2, undefined])
})

test('takes the connection of a handler that calls another one, and lets it go on behind that', async t => {
  const bench = createBench(t, { max: 2 })
  const outer = bench.begin()
  await bench.source.acquire(outer)
  // A handler that calls another one with a request id of its own.
  const inner = bench.begin()
  const lease = await bench.source.acquire(inner)
  assert.equal(lease.connection, 1)
  assert.equal(outer.hasEnded, false)
  bench.source.release(lease)
  assert.equal(inner.hasEnded, true)
})
