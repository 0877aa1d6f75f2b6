import { answerTimeoutMs, withDeadline } from '../deadline.ts'
import { diagnose } from '../diagnosis.ts'
import type { PoolDriver } from '../drivers/driver.ts'
import { attemptOf, type Settings } from '../settings.ts'
import type { TokenCache } from '../token/cache.ts'
import type { TrustSource } from '../trust/verified-tls.ts'
import { outOfTime } from './connector.ts'
import { connectDeadline, type Invocation } from './invocation.ts'
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
  const { connectTimeoutMs, host, logger, oneAtATime, pingAfterIdleMs } = settings
  let current: Lease<Pool> | undefined
  let opening: Promise<Lease<Pool>> | undefined
  let lastUsedMs = 0
  let checking: Promise<void> | undefined
  let prefetching: Promise<void> | undefined

  const open = (): Promise<Lease<Pool>> => {
    opening ??= trust()
      .then(tls => driver.open(tls, tokens))
      .then(pool => {
        current = { connection: pool }
        return current
      })
      .finally(() => {
        opening = undefined
      })
    return opening
  }

  /** The pool closes by itself what it sees ended; what it cannot see, a ping finds. */
  const check = async (pool: Pool): Promise<void> => {
    await settle()
    if (silenceMs(lastUsedMs) >= pingAfterIdleMs) await driver.pingIdle(pool, answerTimeoutMs)
    if (driver.size(pool) === 0) await driver.warm(pool)
    lastUsedMs = Date.now()
  }

  const prepare = async (): Promise<Lease<Pool>> => {
    const lease = current !== undefined && driver.isOpen(current.connection) ? current : await open()
    // Invocations that overlap share one check.
    checking ??= check(lease.connection).finally(() => {
      checking = undefined
    })
    await checking
    return lease
  }

  const lendSlowly = async (invocation: Invocation): Promise<Lease<Pool>> => {
    const attempt = attemptOf(settings, invocation.account)
    const deadlineMs = connectDeadline(invocation, connectTimeoutMs)
    const late = outOfTime(settings, deadlineMs)
    const inTime = <T>(promise: Promise<T>) => withDeadline(promise, deadlineMs - Date.now(), late)
    try {
      // What it fails with is its own: the invocation tries for itself.
      if (prefetching !== undefined) await inTime(prefetching)
      return await inTime(prepare())
    } catch (error) {
      throw diagnose(error, attempt)
    }
  }

  const tidy = (pool: Pool): Promise<void> | undefined => {
    // Where invocations overlap, they may be another's.
    const left = oneAtATime ? driver.closeLent(pool) : 0
    if (left > 0) {
      logger?.warn('The handler did not release every connection of the pool; they are closed', {
        host,
        left,
      })
    }
    // A process that is frozen now would leave the server with what the handler left open.
    return driver.whenRestored(pool)?.then(() => {
      lastUsedMs = Date.now()
    })
  }

  return {
    prefetch() {
      prefetching = prepare()
        .then(
          () => {},
          error => logger?.debug('Connecting ahead failed', { error }),
        )
        .finally(() => {
          prefetching = undefined
        })
    },
    lend(invocation) {
      if (current === undefined || isQuiet(lastUsedMs, pingAfterIdleMs)) return lendSlowly(invocation)
      const { connection } = current
      return driver.isOpen(connection) && driver.size(connection) > 0 ? current : lendSlowly(invocation)
    },
    giveBack({ connection }) {
      lastUsedMs = Date.now()
      if (!driver.isOpen(connection)) return
      // A query that nobody awaits takes its connection a moment later.
      return oneAtATime && driver.isTaking(connection)
        ? settle().then(() => tidy(connection))
        : tidy(connection)
    },
    abandon({ connection }) {
      if (current?.connection === connection) current = undefined
      logger?.warn('The handler was cut off; its pool is closed', { host })
      driver.closeLent(connection)
      driver.close(connection)
    },
  }
}
