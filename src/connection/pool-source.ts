import type { PoolDriver } from '../drivers/driver.ts'
import { diagnose } from '../errors/explain.ts'
import { RdsIamError } from '../errors/rds-iam-error.ts'
import { elapsedMs, report } from '../events/emit.ts'
import { attemptOf, type Settings } from '../options/settings.ts'
import type { Asker } from '../retries/retry.ts'
import { withDeadline } from '../time/deadline.ts'
import type { TokenCache } from '../token/cache.ts'
import type { TrustSource } from '../trust/verified-tls.ts'
import { outOfTime } from './connector.ts'
import { isQuiet, settle, silenceMs } from './freeze.ts'
import { connectDeadline, type Invocation, initialisation } from './invocation.ts'
import type { Lease, Lender } from './source.ts'

/** What a lender of a pool is made of. */
export interface PoolLenderParts<Pool> {
  readonly driver: PoolDriver<Pool>
  readonly settings: Settings
  readonly trust: TrustSource
  readonly tokens: TokenCache
}

interface PoolLease<Pool> extends Lease<Pool> {
  readonly invocation: Invocation
}

/** Lends every invocation the same pool, with at least one connection in it and without dead ones. */
export function createPoolLender<Pool>(parts: PoolLenderParts<Pool>): Lender<Pool> {
  const { driver, settings, trust, tokens } = parts
  const { connectTimeoutMs, oneAtATime, pingAfterIdleMs } = settings
  let current: Pool | undefined
  let opening: Promise<Pool> | undefined
  let lastUsedMs = 0
  // Whether the pool was found in order.
  let checking: Promise<boolean> | undefined
  let prefetching: Promise<void> | undefined
  let prefetchEndsMs = 0
  let prefetchFailure: RdsIamError | undefined
  let latest = initialisation
  // What the latest invocation has not given back, where there is one at a time.
  let unreturned: PoolLease<Pool> | undefined

  const askerOf = (invocation: Invocation): Asker => ({
    deadlineMs: connectDeadline(invocation, connectTimeoutMs),
    account: invocation.account,
  })

  /** Where invocations overlap, nobody knows whose request it is that reaches the pool. */
  const askerNow = (): Asker =>
    askerOf(oneAtATime ? latest : { ...latest, deadlineMs: Number.POSITIVE_INFINITY })
  let isShuttingDown = false

  /** The connections of the pool report their failures themselves. */
  const fail = (cause: unknown, startedMs: number, account?: string): RdsIamError => {
    const error = diagnose(cause, attemptOf(settings, account))
    report(settings, {
      event: 'connection:failed',
      code: error.code,
      durationMs: elapsedMs(startedMs),
      error,
    })
    return error
  }

  const open = (): Promise<Pool> => {
    const startedMs = performance.now()
    opening ??= trust()
      .then(tls => driver.open(tls, tokens, askerNow))
      .then(
        pool => {
          current = pool
          return pool
        },
        cause => {
          throw fail(cause, startedMs)
        },
      )
      .finally(() => {
        opening = undefined
      })
    return opening
  }

  const waitForPrefetch = async (
    prefetch: Promise<void>,
    { deadlineMs }: Asker,
    tell: () => Error,
  ): Promise<void> => {
    const waiting = withDeadline(prefetch, Math.min(deadlineMs, prefetchEndsMs) - Date.now(), tell)
    await (prefetchEndsMs < deadlineMs ? waiting.catch(() => {}) : waiting)
    if (prefetching !== prefetch || current === undefined) return
    // It was frozen for longer than it may take, and has lost its time, and maybe its flow: another pool takes the place of this one.
    driver.close(current)
    // Others that waited for it must not close the one that takes its place.
    prefetching = undefined
    current = undefined
    checking = undefined
  }

  /** The pool closes by itself what it sees ended; what it cannot see, a ping finds. */
  const check = async (pool: Pool, asker: Asker, late: () => Error): Promise<void> => {
    await settle()
    const silentMs = silenceMs(lastUsedMs)
    if (silentMs >= pingAfterIdleMs) await driver.pingIdle(pool, asker, silentMs)
    if (driver.size(pool) === 0) {
      if (asker.deadlineMs <= Date.now()) throw late()
      await driver.warm(pool, asker)
    }
    lastUsedMs = Date.now()
  }

  const prepare = async (asker: Asker): Promise<Pool> => {
    const late = outOfTime(settings, asker.deadlineMs)
    const inTime = <T>(promise: Promise<T>) => withDeadline(promise, asker.deadlineMs - Date.now(), late)
    // What connecting ahead fails with is its own: the invocation tries for itself.
    if (prefetching !== undefined) await waitForPrefetch(prefetching, asker, () => prefetchFailure ?? late())
    const pool = current !== undefined && driver.isOpen(current) ? current : await inTime(open())
    // Invocations that overlap share one check; one that fails was bound by the time of another.
    while (checking !== undefined) if (await inTime(checking)) return pool
    const own = check(pool, asker, late)
    checking = own
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        checking = undefined
      })
    await own
    return pool
  }

  const lease = (connection: Pool, invocation: Invocation): Lease<Pool> => {
    const lease = { connection, invocation }
    if (oneAtATime) unreturned = lease
    return lease
  }

  const lendSlowly = async (invocation: Invocation): Promise<Lease<Pool>> => {
    const startedMs = performance.now()
    try {
      if (unreturned !== undefined && unreturned.invocation.id !== invocation.id)
        await reclaim(unreturned, askerOf(invocation))
      return lease(await prepare(askerOf(invocation)), invocation)
    } catch (error) {
      throw error instanceof RdsIamError ? error : fail(error, startedMs, invocation.account)
    }
  }

  const tidy = (pool: Pool): Promise<unknown> | undefined => {
    // Where invocations overlap, they may be another's.
    const { closed, forgotten } = oneAtATime ? driver.closeLent(pool) : { closed: 0, forgotten: 0 }
    if (closed + forgotten > 0)
      report(settings, { event: 'connection:closed', reason: 'not-released', connections: closed })
    // A process that is frozen now would leave the server with what the handler left open.
    return driver.whenRestored(pool)
  }

  /** Whether it is still this invocation that has the pool, and not another one by now. */
  const takeBack = (lease: Lease<Pool>): boolean => {
    const isLatest = lease === unreturned
    if (isLatest) unreturned = undefined
    return isLatest || !oneAtATime
  }

  const giveBack = (lease: Lease<Pool>): void | Promise<void> => {
    if (!takeBack(lease)) return
    const { connection } = lease
    lastUsedMs = Date.now()
    if (!driver.isOpen(connection)) return
    // A query that nobody awaits takes its connection a moment later.
    const tidying =
      oneAtATime && driver.isTaking(connection) ? settle().then(() => tidy(connection)) : tidy(connection)
    const tidied = tidying?.then(() => {
      lastUsedMs = Date.now()
    })
    return isShuttingDown ? Promise.resolve(tidied).then(() => driver.closeIdle(connection)) : tidied
  }

  /** Neither `after` nor `onError` of an earlier invocation need have run, and nobody knows when it used the pool last. */
  const reclaim = async (lease: Lease<Pool>, { deadlineMs }: Asker): Promise<void> => {
    if (!takeBack(lease) || !driver.isOpen(lease.connection)) return
    if (driver.isTaking(lease.connection)) await settle()
    // Half of the time: where no answer comes, the rest is for a new connection.
    const restored = Promise.resolve(tidy(lease.connection))
    await withDeadline(restored, (deadlineMs - Date.now()) / 2, () => new Error('no answer')).catch(() => {})
  }

  return {
    prefetch() {
      const asker = askerOf(initialisation)
      prefetchEndsMs = asker.deadlineMs
      const onRetry = (failure: RdsIamError): void => {
        prefetchFailure = failure
      }
      prefetching = prepare({ ...asker, onRetry })
        .then(
          () => {},
          () => {},
        )
        .finally(() => {
          prefetching = undefined
        })
    },
    lend(invocation) {
      latest = invocation
      if (current === undefined || unreturned !== undefined || isQuiet(lastUsedMs, pingAfterIdleMs))
        return lendSlowly(invocation)
      return driver.isOpen(current) && driver.size(current) > 0
        ? lease(current, invocation)
        : lendSlowly(invocation)
    },
    giveBack,
    abandon(lease) {
      const { connection } = lease
      // Where invocations overlap, the pool is theirs too.
      if (!takeBack(lease) || !oneAtATime) return
      if (current === connection) current = undefined
      report(settings, {
        event: 'connection:closed',
        reason: 'cut-off',
        connections: driver.size(connection),
      })
      driver.closeLent(connection)
      driver.close(connection)
    },
    async shutDown() {
      isShuttingDown = true
      if (current !== undefined && driver.isOpen(current)) await driver.closeIdle(current)
    },
  }
}
