import { withDeadline } from '../deadline.ts'
import { diagnose } from '../diagnosis.ts'
import type { PoolDriver } from '../drivers/driver.ts'
import { RdsIamError } from '../errors.ts'
import { elapsedMs, report } from '../report.ts'
import type { Asker } from '../retries.ts'
import { attemptOf, type Settings } from '../settings.ts'
import type { TokenCache } from '../token/cache.ts'
import type { TrustSource } from '../trust/verified-tls.ts'
import { outOfTime } from './connector.ts'
import { connectDeadline, type Invocation, initialisation } from './invocation.ts'
import { isQuiet, type Lease, type Lender, settle, silenceMs } from './lender.ts'

/** What a lender of a pool is made of. */
export interface PoolLenderParts<Pool> {
  readonly driver: PoolDriver<Pool>
  readonly settings: Settings
  readonly trust: TrustSource
  readonly tokens: TokenCache
}

/** Lends every invocation the same pool, with at least one connection in it and without dead ones. */
export function createPoolLender<Pool>(parts: PoolLenderParts<Pool>): Lender<Pool> {
  const { driver, settings, trust, tokens } = parts
  const { connectTimeoutMs, oneAtATime, pingAfterIdleMs } = settings
  let current: Lease<Pool> | undefined
  let opening: Promise<Lease<Pool>> | undefined
  let lastUsedMs = 0
  // Whether the pool was found in order.
  let checking: Promise<boolean> | undefined
  let prefetching: Promise<void> | undefined
  let prefetchFailure: RdsIamError | undefined
  let latest = initialisation

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

  const open = (): Promise<Lease<Pool>> => {
    const startedMs = performance.now()
    opening ??= trust()
      .then(tls => driver.open(tls, tokens, askerNow))
      .then(
        pool => {
          current = { connection: pool }
          return current
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

  const prepare = async (asker: Asker): Promise<Lease<Pool>> => {
    const late = outOfTime(settings, asker.deadlineMs)
    const inTime = <T>(promise: Promise<T>, tell = late) =>
      withDeadline(promise, asker.deadlineMs - Date.now(), tell)
    // What connecting ahead fails with is its own: the invocation tries for itself.
    if (prefetching !== undefined) await inTime(prefetching, () => prefetchFailure ?? late())
    const lease = current !== undefined && driver.isOpen(current.connection) ? current : await inTime(open())
    // Invocations that overlap share one check; one that fails was bound by the time of another.
    while (checking !== undefined) if (await inTime(checking)) return lease
    const own = check(lease.connection, asker, late)
    checking = own
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        checking = undefined
      })
    await own
    return lease
  }

  const lendSlowly = (invocation: Invocation): Promise<Lease<Pool>> => {
    const startedMs = performance.now()
    return prepare(askerOf(invocation)).catch(error => {
      throw error instanceof RdsIamError ? error : fail(error, startedMs, invocation.account)
    })
  }

  const tidy = (pool: Pool): Promise<void> | undefined => {
    // Where invocations overlap, they may be another's.
    const { closed, forgotten } = oneAtATime ? driver.closeLent(pool) : { closed: 0, forgotten: 0 }
    if (closed + forgotten > 0)
      report(settings, { event: 'connection:closed', reason: 'not-released', connections: closed })
    // A process that is frozen now would leave the server with what the handler left open.
    return driver.whenRestored(pool)?.then(() => {
      lastUsedMs = Date.now()
    })
  }

  return {
    prefetch() {
      const onRetry = (failure: RdsIamError): void => {
        prefetchFailure = failure
      }
      prefetching = prepare({ ...askerOf(initialisation), onRetry })
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
      if (current === undefined || isQuiet(lastUsedMs, pingAfterIdleMs)) return lendSlowly(invocation)
      const { connection } = current
      return driver.isOpen(connection) && driver.size(connection) > 0 ? current : lendSlowly(invocation)
    },
    giveBack({ connection }) {
      lastUsedMs = Date.now()
      if (!driver.isOpen(connection)) return
      // A query that nobody awaits takes its connection a moment later.
      const tidied =
        oneAtATime && driver.isTaking(connection) ? settle().then(() => tidy(connection)) : tidy(connection)
      return isShuttingDown ? Promise.resolve(tidied).then(() => driver.closeIdle(connection)) : tidied
    },
    abandon({ connection }) {
      if (current?.connection === connection) current = undefined
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
      if (current !== undefined && driver.isOpen(current.connection))
        await driver.closeIdle(current.connection)
    },
  }
}
