import type { Access } from '../access/access.ts'
import type { Callers } from '../drivers/callers.ts'
import { createClosing } from '../drivers/closing.ts'
import type { CreatePool, OpenPool } from '../drivers/driver.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import type { Asker } from '../retries/retry.ts'
import { withDeadline } from '../time/deadline.ts'
import { elapsedMs } from '../time/elapsed.ts'
import { isQuiet, settle } from '../time/freeze.ts'
import { outOfTime } from './connector.ts'
import { connectDeadline, type Invocation, initialisation } from './invocation.ts'
import { createPrefetch } from './prefetch.ts'
import type { ConnectionSource, Lease } from './source.ts'

/** What a source of a pool is made of. */
export interface PoolSourceParts<Pool> {
  readonly createPool: CreatePool<Pool>
  readonly access: Access
  readonly settings: ConnectionSettings
  readonly callers: Callers
}

interface PoolLease<Pool> extends Lease<Pool> {
  readonly pool: OpenPool<Pool>
  readonly invocation: Invocation
}

/** Gives every invocation the same pool, with at least one connection in it and without dead ones. */
export function createPoolSource<Pool>(parts: PoolSourceParts<Pool>): ConnectionSource<Pool> {
  const { createPool, access, settings, callers } = parts
  const { connectTimeoutMs, oneAtATime, pingAfterIdleMs } = settings
  const prefetch = createPrefetch(access)
  // Of invocations that have not released the pool.
  const leases = new Set<PoolLease<Pool>>()
  const isOver = ({ invocation }: PoolLease<Pool>): boolean => invocation.deadlineMs < Date.now()
  const closing = createClosing(() => [...leases].every(isOver))
  let lastUsedMs = 0
  // Resolves to what is wrong with the pool; to nothing where it was found in order.
  let checking: Promise<unknown> | undefined
  let latest = initialisation
  // What the latest invocation has not released, where there is one at a time.
  let unreleased: PoolLease<Pool> | undefined
  let isShuttingDown = false

  const askerOf = (invocation: Invocation): Asker => ({
    deadlineMs: connectDeadline(invocation, connectTimeoutMs),
    account: invocation.account,
  })

  /** Where invocations overlap, nobody knows whose request it is that reaches the pool. */
  const askerNow = (): Asker => ({
    ...askerOf(oneAtATime ? latest : { ...latest, deadlineMs: Number.POSITIVE_INFINITY }),
    // The idle ones were checked when the invocation began.
    quietMs: 1_000,
  })

  let current = createPool(askerNow)

  /** The pool that all invocations have; another one only where the handler ended it. */
  const currentPool = (): OpenPool<Pool> => {
    if (closing.isClosed()) throw closing.error(access.target)
    if (!current.isOpen()) current = createPool(askerNow)
    return current
  }

  /** The connections of the pool tell of their failures themselves. */
  const fail = (cause: unknown, startedMs: number, account?: string): RdsIamError => {
    const error = access.explain(cause, { account })
    access.emit({
      event: 'connection:failed',
      code: error.code,
      durationMs: elapsedMs(startedMs),
      error,
    })
    return error
  }

  /** What it tried in vain goes on with who waited for it. */
  const waitForPrefetch = async (asker: Asker, late: () => Error): Promise<Asker> => {
    const isPending = prefetch.isPending()
    if (await prefetch.wait(asker, late))
      return isPending ? { ...asker, effort: prefetch.failedEffort() } : asker
    // It lost its time in a freeze, and maybe its flow: the pool gives its connection up.
    prefetch.forget()
    checking = undefined
    return asker
  }

  /** The pool closes by itself what it sees ended; what it cannot see, a ping finds. */
  const check = async (pool: OpenPool<Pool>, asker: Asker, late: () => Error): Promise<void> => {
    await settle()
    await pool.checkIdle(asker)
    if (pool.size() === 0) {
      if (asker.deadlineMs <= Date.now()) throw late()
      await pool.warm(asker)
    }
    lastUsedMs = Date.now()
  }

  const prepare = async (asker: Asker): Promise<OpenPool<Pool>> => {
    const late = outOfTime(settings, asker.deadlineMs)
    const inTime = <T>(promise: Promise<T>) => withDeadline(promise, asker.deadlineMs - Date.now(), late)
    const waited = await waitForPrefetch(asker, late)
    const pool = currentPool()
    // Invocations that overlap share one check; one that fails was bound by the time of another.
    while (checking !== undefined) {
      const failure = await inTime(checking)
      if (failure === undefined) return pool
      // A server that keeps refusing is asked once for all of them.
      if (access.refusals.known() !== undefined) throw failure
    }
    const own = check(pool, waited, late)
    checking = own
      .then(
        () => undefined,
        failure => failure,
      )
      .finally(() => {
        checking = undefined
      })
    await own
    return pool
  }

  const lease = (pool: OpenPool<Pool>, invocation: Invocation): PoolLease<Pool> => {
    const lease = { connection: pool.pool, pool, invocation }
    // Neither `after` nor `onError` need have run for those whose time is over.
    for (const past of leases) {
      if (!isOver(past)) continue
      leases.delete(past)
      if (!oneAtATime) tidy(past)
    }
    leases.add(lease)
    if (oneAtATime) unreleased = lease
    return lease
  }

  const acquireSlowly = async (invocation: Invocation): Promise<Lease<Pool>> => {
    const startedMs = performance.now()
    try {
      if (unreleased !== undefined && unreleased.invocation.id !== invocation.id) await reclaim(unreleased)
      return lease(await prepare(askerOf(invocation)), invocation)
    } catch (error) {
      invocation.hasEnded = true
      throw error instanceof RdsIamError ? error : fail(error, startedMs, invocation.account)
    }
  }

  /** Ends what an invocation has of the pool; where there is one at a time, what anybody has. */
  const tidy = ({ pool, invocation }: PoolLease<Pool>): void => {
    invocation.hasEnded = true
    if (!pool.isOpen()) return
    const { closed, forgotten } = pool.endUse(oneAtATime ? undefined : invocation)
    if (closed + forgotten > 0)
      access.emit({ event: 'connection:closed', reason: 'not-released', connections: closed })
  }

  /** Whether it is still this invocation that has the pool, and not another one by now. */
  const takeBack = (lease: PoolLease<Pool>): boolean => {
    const isLatest = lease === unreleased
    leases.delete(lease)
    closing.check()
    if (isLatest) {
      unreleased = undefined
      // Whoever uses the pool until the next invocation is bound by none.
      latest = initialisation
    }
    return isLatest || !oneAtATime
  }

  const release = (given: Lease<Pool>): void | Promise<void> => {
    const lease = given as PoolLease<Pool>
    const { pool } = lease
    if (!takeBack(lease)) return
    lastUsedMs = Date.now()
    // A query that nobody awaits takes its connection a moment later.
    const tidied = oneAtATime && pool.isTaking() ? settle().then(() => tidy(lease)) : tidy(lease)
    return isShuttingDown ? Promise.resolve(tidied).then(() => pool.closeIdle()) : tidied
  }

  /**
   * Neither `after` nor `onError` of an earlier invocation need have run, and nobody knows when it used the
   * pool last.
   */
  const reclaim = async (lease: PoolLease<Pool>): Promise<void> => {
    if (!takeBack(lease)) return
    if (lease.pool.isTaking()) await settle()
    tidy(lease)
  }

  return {
    prefetch() {
      const asker = askerOf(initialisation)
      prefetch.begin(asker.deadlineMs, effort => prepare({ ...asker, isAhead: true, effort }))
    },
    acquire(invocation) {
      if (closing.isClosed()) throw closing.error(access.target)
      callers.enter(invocation)
      latest = invocation
      if (unreleased !== undefined || isQuiet(lastUsedMs, pingAfterIdleMs)) return acquireSlowly(invocation)
      return current.isOpen() && current.size() > 0 ? lease(current, invocation) : acquireSlowly(invocation)
    },
    // A pool tells it of each connection that it gives.
    begin() {},
    release,
    discard(given) {
      const lease = given as PoolLease<Pool>
      const { pool } = lease
      lease.invocation.hasEnded = true
      lease.invocation.wasCutOff = true
      if (!takeBack(lease)) return
      // Where invocations overlap, the pool is theirs too.
      if (!oneAtATime) return tidy(lease)
      // The handler may still hold the pool, and whoever keeps it for longer goes on with it; the next
      // invocations have another one.
      if (current === pool) current = createPool(askerNow)
      access.emit({ event: 'connection:closed', reason: 'cut-off', connections: pool.discardAll() })
    },
    async shutDown() {
      isShuttingDown = true
      if (current.isOpen()) await current.closeIdle()
    },
    // What is in use then, nobody has returned in five seconds.
    close: () => closing.close(() => current.close(0)),
  }
}
