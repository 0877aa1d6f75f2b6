// What an invocation has of a pool that all share; test/servers has real ones.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Invocation } from '../../../src/connection/invocation.ts'
import { createPoolSource } from '../../../src/connection/pool-source.ts'
import type { Lease } from '../../../src/connection/source.ts'
import { type Caller, createCallers } from '../../../src/drivers/callers.ts'
import type { OpenPool } from '../../../src/drivers/driver.ts'
import type { ConnectionSettings } from '../../../src/options/settings.ts'
import type { Asker } from '../../../src/retries/retry.ts'
import { createListeningAccess } from '../../support/fake-session.ts'

const now = Date.UTC(2026, 0, 1)

/** Lets everything happen that needs no time. */
async function turns(): Promise<void> {
  for (let count = 0; count < 8; count += 1) await new Promise(resolve => setImmediate(resolve))
}

type Warming = Asker & PromiseWithResolvers<void>

/** A pool that opens its connections at once, unless the test holds them back. */
interface FakePool extends OpenPool<string> {
  isEnded: boolean
  isHeld: boolean
  isBusy: boolean
  connections: number
  /** What {@link OpenPool.endUse} finds that was not released. */
  unreleased: { closed: number; forgotten: number }
  readonly calls: string[]
  readonly warmings: Warming[]
  readonly checks: Asker[]
  readonly ended: (Caller | undefined)[]
  readonly askerNow: () => Asker
}

function createFakePool(name: string, askerNow: () => Asker, isHeld: boolean): FakePool {
  const pool: FakePool = {
    ...{ pool: name, isEnded: false, isHeld, isBusy: false, connections: 0, askerNow },
    ...{ calls: [], warmings: [], checks: [], ended: [], unreleased: { closed: 0, forgotten: 0 } },
    isOpen: () => !pool.isEnded,
    size: () => pool.connections,
    isTaking: () => pool.isBusy,
    endUse(caller) {
      pool.ended.push(caller)
      return pool.unreleased
    },
    discardAll() {
      pool.calls.push('discardAll')
      return pool.connections
    },
    warm(asker) {
      const warming = { ...asker, ...Promise.withResolvers<void>() }
      pool.warmings.push(warming)
      if (!pool.isHeld) warming.resolve()
      return warming.promise.then(() => {
        pool.connections += 1
      })
    },
    async checkIdle(asker) {
      pool.checks.push(asker)
    },
    async closeIdle() {
      pool.calls.push('closeIdle')
    },
    async close(timeMs) {
      pool.calls.push(`close ${timeMs}`)
    },
  }
  return pool
}

function createBench(t: TestContext, changes: Partial<ConnectionSettings> = {}, isHeld = false) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now })
  const { access, events } = createListeningAccess()
  const pools: FakePool[] = []
  const settings = {
    ...{ oneAtATime: true, pingAfterIdleMs: 1_000, connectTimeoutMs: 10_000 },
    ...changes,
  } as ConnectionSettings
  const callers = createCallers(() => {})
  const source = createPoolSource<string>({
    createPool(askerNow) {
      const pool = createFakePool(`pool ${pools.length + 1}`, askerNow, isHeld)
      pools.push(pool)
      return pool
    },
    access,
    settings,
    callers,
  })
  let invocations = 0
  return {
    ...{ access, callers, events, pools, source },
    pool: (number = 1): FakePool => pools[number - 1] as FakePool,
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
      events.flatMap(event =>
        event.event === 'connection:closed' ? [`${event.reason} ${event.connections}`] : [],
      ),
    failed: () => events.filter(({ event }) => event === 'connection:failed'),
  }
}

type Bench = ReturnType<typeof createBench>

/** What came of asking for the pool, as far as it has come. */
function ask({ source }: Bench, invocation: Invocation) {
  let given: Lease<string> | undefined
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

/** A source whose pool has one connection, and was just released. */
async function createUsed(t: TestContext, changes: Partial<ConnectionSettings> = {}): Promise<Bench> {
  const bench = createBench(t, changes)
  await bench.source.release(await bench.source.acquire(bench.begin()))
  return bench
}

test('gives the first invocation a pool with a connection in it, in the time that it has', async t => {
  const bench = createBench(t)
  const invocation = bench.begin(5_000)
  const lease = await bench.source.acquire(invocation)
  assert.equal(lease.connection, 'pool 1')
  const [{ deadlineMs, account } = {} as Warming] = bench.pool().warmings
  assert.deepEqual([deadlineMs, account], [now + 4_800, '123456789012'])
  assert.deepEqual(bench.pool().checks, [{ deadlineMs: now + 4_800, account: '123456789012' }])
  assert.equal(bench.callers.current(), invocation)
  assert.equal(invocation.hasEnded, false)
  bench.source.begin(lease)
})

test('gives the pool to the next invocation at once, and checks it after a silence', async t => {
  const bench = await createUsed(t)
  const lease = bench.source.acquire(bench.begin())
  assert.ok(!(lease instanceof Promise))
  assert.equal(lease.connection, 'pool 1')
  assert.equal(bench.pool().checks.length, 1)
  await bench.source.release(lease)
  await bench.pass(1)
  const acquiring = bench.source.acquire(bench.begin())
  assert.ok(acquiring instanceof Promise)
  await acquiring
  assert.equal(bench.pool().checks.length, 2)
  // There is a connection in it.
  assert.equal(bench.pool().warmings.length, 1)
})

test('fills a pool again that has lost its connections, also at once', async t => {
  const bench = await createUsed(t)
  bench.pool().connections = 0
  await bench.source.acquire(bench.begin())
  assert.equal(bench.pool().warmings.length, 2)
})

test('makes another pool where the handler ended the one that it had', async t => {
  const bench = await createUsed(t)
  bench.pool().isEnded = true
  assert.equal((await bench.source.acquire(bench.begin())).connection, 'pool 2')
  assert.equal(bench.pool(2).warmings.length, 1)
})

test('asks a pool on behalf of the latest invocation, and of nobody after that', async t => {
  const bench = createBench(t)
  const invocation = bench.begin(5_000)
  const lease = await bench.source.acquire(invocation)
  assert.deepEqual(bench.pool().askerNow(), {
    deadlineMs: now + 4_800,
    account: '123456789012',
    quietMs: 1_000,
  })
  await bench.source.release(lease)
  assert.deepEqual(bench.pool().askerNow(), { deadlineMs: now + 10_000, account: undefined, quietMs: 1_000 })
})

test('binds no request by a deadline where invocations overlap: nobody knows whose it is', async t => {
  const bench = createBench(t, { oneAtATime: false })
  await bench.source.acquire(bench.begin(5_000))
  assert.deepEqual(bench.pool().askerNow(), {
    deadlineMs: now + 10_000,
    account: '123456789012',
    quietMs: 1_000,
  })
})

test('explains a failure, tells of it, and takes the invocation for ended', async t => {
  const bench = createBench(t, {}, true)
  const invocation = bench.begin()
  const asked = ask(bench, invocation)
  await turns()
  bench.pool().warmings[0]?.reject(new Error('getaddrinfo ENOTFOUND orders'))
  await turns()
  assert.equal(asked.error()?.code, 'RDS_IAM_UNREACHABLE')
  assert.equal(invocation.hasEnded, true)
  const [failed, ...others] = bench.failed() as unknown as Record<string, unknown>[]
  assert.equal(others.length, 0)
  assert.equal(failed?.code, 'RDS_IAM_UNREACHABLE')
  assert.equal(failed?.error, asked.error())
  assert.ok(Number(failed?.durationMs) >= 0 && Number(failed?.durationMs) < 60_000)
})

test('hands on an error that was told of before as it is', async t => {
  const bench = createBench(t, {}, true)
  const asked = ask(bench, bench.begin())
  await turns()
  const failure = bench.access.explain(new Error('no'))
  bench.pool().warmings[0]?.reject(failure)
  await turns()
  assert.equal(asked.error(), failure)
  assert.deepEqual(bench.failed(), [])
})

test('says that there was no time where a check has used it up', async t => {
  const bench = createBench(t)
  bench.pool().checkIdle = async () => t.mock.timers.setTime(now + 4_800)
  await assert.rejects(Promise.resolve(bench.source.acquire(bench.begin(5_000))), {
    code: 'RDS_IAM_UNREACHABLE',
    message: /no connection within 10000 ms/,
  })
  assert.equal(bench.pool().warmings.length, 0)
})

test('ends what an invocation has not released, and tells of it', async t => {
  const bench = createBench(t)
  const invocation = bench.begin()
  const lease = await bench.source.acquire(invocation)
  bench.pool().unreleased = { closed: 1, forgotten: 2 }
  bench.source.release(lease)
  assert.deepEqual(bench.pool().ended, [undefined])
  assert.equal(invocation.hasEnded, true)
  assert.deepEqual(bench.closed(), ['not-released 1'])
  bench.source.release(lease)
  assert.equal(bench.pool().ended.length, 1)
  // Requests that wait are told of too, and nothing is where there is nothing.
  const again = await bench.source.acquire(bench.begin())
  bench.pool().unreleased = { closed: 0, forgotten: 1 }
  bench.source.release(again)
  assert.deepEqual(bench.closed(), ['not-released 1', 'not-released 0'])
  const clean = await bench.source.acquire(bench.begin())
  bench.pool().unreleased = { closed: 0, forgotten: 0 }
  bench.source.release(clean)
  assert.equal(bench.closed().length, 2)
})

test('ends what one invocation has of the pool where others run beside it', async t => {
  const bench = createBench(t, { oneAtATime: false })
  const [one, other] = [bench.begin(), bench.begin()]
  const [first, second] = [await bench.source.acquire(one), await bench.source.acquire(other)]
  bench.pool().isBusy = true
  assert.equal(bench.source.release(first), undefined)
  assert.deepEqual(bench.pool().ended, [one])
  assert.deepEqual([one.hasEnded, other.hasEnded], [true, false])
  bench.source.release(second)
  assert.deepEqual(bench.pool().ended, [one, other])
})

test('leaves a pool alone that the handler ended', async t => {
  const bench = createBench(t)
  const invocation = bench.begin()
  const lease = await bench.source.acquire(invocation)
  bench.pool().isEnded = true
  bench.pool().unreleased = { closed: 1, forgotten: 0 }
  bench.source.release(lease)
  assert.equal(invocation.hasEnded, true)
  assert.deepEqual([bench.pool().ended, bench.closed()], [[], []])
})

test('waits a moment for a query that nobody awaits, before it ends what is not released', async t => {
  const bench = createBench(t)
  const lease = await bench.source.acquire(bench.begin())
  bench.pool().isBusy = true
  const released = bench.source.release(lease)
  assert.ok(released instanceof Promise)
  assert.deepEqual(bench.pool().ended, [])
  await released
  assert.deepEqual(bench.pool().ended, [undefined])
})

for (const isBusy of [false, true]) {
  test(`takes back what an earlier invocation has not released${isBusy ? ', after a moment' : ''}`, async t => {
    const bench = createBench(t)
    const earlier = bench.begin()
    const lost = await bench.source.acquire(earlier)
    bench.pool().unreleased = { closed: 1, forgotten: 0 }
    bench.pool().isBusy = isBusy
    const latest = bench.begin(5_000)
    const asked = ask(bench, latest)
    assert.equal(bench.pool().ended.length, isBusy ? 0 : 1)
    await turns()
    assert.equal(asked.got(), 'pool 1')
    assert.deepEqual([earlier.hasEnded, bench.closed()], [true, ['not-released 1']])
    assert.deepEqual(bench.pool().ended, [undefined])
    assert.equal(bench.pool().checks.length, 2)
    // The handler that was late returns now: it has nothing any more.
    bench.source.release(lost)
    bench.source.discard(lost)
    assert.equal(bench.pool().ended.length, 1)
    assert.equal(bench.pools.length, 1)
  })
}

test('takes nothing back from an invocation that asks again', async t => {
  const bench = createBench(t)
  const invocation = bench.begin()
  await bench.source.acquire(invocation)
  assert.equal((await bench.source.acquire(invocation)).connection, 'pool 1')
  assert.deepEqual(bench.pool().ended, [])
})

test('ends what invocations have whose time is over, where others run beside them', async t => {
  const bench = createBench(t, { oneAtATime: false })
  const [over, running] = [bench.begin(1_000), bench.begin()]
  await bench.source.acquire(over)
  await bench.source.acquire(running)
  await bench.pass(1_000)
  await bench.source.acquire(bench.begin())
  assert.deepEqual(bench.pool().ended, [])
  await bench.pass(1)
  await bench.source.acquire(bench.begin())
  assert.deepEqual(bench.pool().ended, [over])
  assert.deepEqual([over.hasEnded, running.hasEnded], [true, false])
  await bench.source.acquire(bench.begin())
  assert.equal(bench.pool().ended.length, 1)
})

test('gives the next invocation another pool where a handler was cut off, which may still have this one', async t => {
  const bench = createBench(t)
  const invocation = bench.begin()
  const lease = await bench.source.acquire(invocation)
  bench.source.discard(lease)
  bench.source.discard(lease)
  assert.deepEqual([invocation.hasEnded, invocation.wasCutOff], [true, true])
  assert.deepEqual(bench.pool().calls, ['discardAll'])
  assert.deepEqual(bench.closed(), ['cut-off 1'])
  assert.equal((await bench.source.acquire(bench.begin())).connection, 'pool 2')
})

test('makes no third pool where the handler that was cut off had ended its own', async t => {
  const bench = createBench(t)
  const lease = await bench.source.acquire(bench.begin())
  bench.pool().isEnded = true
  const other = ask(bench, bench.begin(60_000, 'invocation 1'))
  await turns()
  assert.equal(other.got(), 'pool 2')
  bench.source.discard(other.lease() as Lease<string>)
  assert.equal(bench.pools.length, 3)
  bench.source.discard(lease)
  assert.equal(bench.pools.length, 3)
})

test('ends what a handler that was cut off has, and no more, where others run beside it', async t => {
  const bench = createBench(t, { oneAtATime: false })
  const invocation = bench.begin()
  const lease = await bench.source.acquire(invocation)
  bench.pool().unreleased = { closed: 1, forgotten: 0 }
  bench.source.discard(lease)
  assert.deepEqual([bench.pool().ended, bench.pool().calls], [[invocation], []])
  assert.deepEqual([bench.pools.length, bench.closed()], [1, ['not-released 1']])
  assert.equal(invocation.wasCutOff, true)
})

test('shares one check between invocations that overlap', async t => {
  const bench = createBench(t, { oneAtATime: false }, true)
  const [one, other] = [ask(bench, bench.begin()), ask(bench, bench.begin())]
  await turns()
  assert.equal(bench.pool().warmings.length, 1)
  bench.pool().warmings[0]?.resolve()
  await turns()
  assert.deepEqual([one.got(), other.got(), bench.pool().checks.length], ['pool 1', 'pool 1', 1])
})

test('checks again for an invocation whose check was bound by the time of another one', async t => {
  const bench = createBench(t, { oneAtATime: false }, true)
  const [one, other] = [ask(bench, bench.begin()), ask(bench, bench.begin())]
  await turns()
  bench.pool().warmings[0]?.reject(new Error('timeout expired'))
  await turns()
  assert.equal(one.error()?.code, 'RDS_IAM_UNREACHABLE')
  assert.deepEqual([other.error(), bench.pool().warmings.length], [undefined, 2])
  bench.pool().warmings[1]?.resolve()
  await turns()
  assert.equal(other.got(), 'pool 1')
})

test('asks a server that keeps refusing once for all invocations that overlap', async t => {
  const bench = createBench(t, { oneAtATime: false }, true)
  const [one, other] = [ask(bench, bench.begin()), ask(bench, bench.begin())]
  await turns()
  bench.access.refusals.remember({ count: 2, sinceMs: now, latestMs: now })
  const failure = bench.access.explain(new Error('no'))
  bench.pool().warmings[0]?.reject(failure)
  await turns()
  assert.deepEqual([one.error(), other.error()], [failure, failure])
  assert.equal(bench.pool().warmings.length, 1)
})

test('has nobody wait for the check of another invocation beyond their own time', async t => {
  const bench = createBench(t, { oneAtATime: false }, true)
  const [one, other] = [ask(bench, bench.begin()), ask(bench, bench.begin(2_200))]
  await bench.pass(1_999)
  assert.equal(other.error(), undefined)
  await bench.pass(1)
  assert.equal(other.error()?.code, 'RDS_IAM_UNREACHABLE')
  assert.equal(one.error(), undefined)
})

test('connects ahead, and has the first invocation wait for that', async t => {
  const bench = createBench(t, {}, true)
  bench.source.prefetch()
  await turns()
  const [{ deadlineMs, account, isAhead, effort } = {} as Warming] = bench.pool().warmings
  assert.deepEqual([deadlineMs, account, isAhead], [now + 10_000, undefined, true])
  assert.equal(effort?.startedMs, now)
  const asked = ask(bench, bench.begin())
  await turns()
  assert.equal(asked.got(), undefined)
  bench.pool().warmings[0]?.resolve()
  await turns()
  assert.equal(asked.got(), 'pool 1')
  assert.equal(bench.pool().warmings.length, 1)
})

test('gives a pool that was filled ahead at once', async t => {
  const bench = createBench(t)
  bench.source.prefetch()
  await turns()
  assert.ok(!(bench.source.acquire(bench.begin()) instanceof Promise))
})

test('goes on with what was tried in vain ahead, for who has waited for it and for nobody else', async t => {
  const bench = createBench(t, {}, true)
  bench.source.prefetch()
  await turns()
  const asked = ask(bench, bench.begin())
  await turns()
  const ahead = bench.pool().warmings[0]
  if (ahead?.effort !== undefined) ahead.effort.attempts = 3
  ahead?.reject(new Error('no'))
  await turns()
  assert.equal(bench.pool().warmings[1]?.effort?.attempts, 3)
  bench.pool().warmings[1]?.reject(new Error('no'))
  await turns()
  assert.ok(asked.error())
  ask(bench, bench.begin())
  await turns()
  assert.equal(bench.pool().warmings[2]?.effort, undefined)
  assert.equal(bench.failed().length, 1)
})

test('waits no longer for what lost its time ahead in a freeze', async t => {
  const bench = createBench(t, {}, true)
  bench.source.prefetch()
  await turns()
  t.mock.timers.setTime(now + 60_000)
  const asked = ask(bench, bench.begin())
  await bench.pass(0)
  assert.equal(bench.pool().warmings.length, 2)
  assert.equal(bench.pool().warmings[1]?.effort, undefined)
  bench.pool().warmings[1]?.resolve()
  await turns()
  assert.equal(asked.got(), 'pool 1')
})

test('ends idle connections at shutdown, and then those that are released', async t => {
  const bench = createBench(t)
  const lease = await bench.source.acquire(bench.begin())
  await bench.source.shutDown()
  assert.deepEqual(bench.pool().calls, ['closeIdle'])
  await bench.source.release(lease)
  assert.deepEqual(bench.pool().ended, [undefined])
  assert.deepEqual(bench.pool().calls, ['closeIdle', 'closeIdle'])
})

test('leaves a pool alone at shutdown that the handler ended', async t => {
  const bench = await createUsed(t)
  bench.pool().isEnded = true
  await bench.source.shutDown()
  assert.deepEqual(bench.pool().calls, [])
})

test('closes the pool once nobody has it, and gives it to nobody then', async t => {
  const bench = createBench(t)
  const lease = await bench.source.acquire(bench.begin())
  const closing = bench.source.close()
  await turns()
  assert.deepEqual(bench.pool().calls, [])
  assert.throws(() => bench.source.acquire(bench.begin()), { code: 'RDS_IAM_CLOSED' })
  bench.source.release(lease)
  await closing
  await bench.source.close()
  assert.deepEqual(bench.pool().calls, ['close 0'])
})

test('closes the pool after five seconds, or where the time of all who have it is over', async t => {
  for (const [leftMs, waitsMs] of [
    [60_000, 5_000],
    [1_000, 0],
  ] as const) {
    const bench = createBench(t)
    await bench.source.acquire(bench.begin(leftMs))
    await bench.pass(1_001)
    const closing = bench.source.close()
    if (waitsMs > 0) {
      await bench.pass(waitsMs - 1)
      assert.deepEqual(bench.pool().calls, [])
      await bench.pass(1)
    }
    await closing
    assert.deepEqual(bench.pool().calls, ['close 0'])
    t.mock.timers.reset()
  }
})

test('tells an invocation that was waiting that the pool was closed meanwhile', async t => {
  const bench = createBench(t)
  const earlier = bench.begin()
  await bench.source.acquire(earlier)
  bench.pool().isBusy = true
  const asked = ask(bench, bench.begin())
  void bench.source.close()
  await turns()
  assert.equal(asked.error()?.code, 'RDS_IAM_CLOSED')
  assert.deepEqual(bench.failed(), [])
})
