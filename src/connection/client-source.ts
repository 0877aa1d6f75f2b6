import type { Driver } from '../drivers/driver.ts'
import { isClean, restoreSession } from '../drivers/session.ts'
import { diagnose } from '../errors/explain.ts'
import type { RdsIamError } from '../errors/rds-iam-error.ts'
import { elapsedMs, report } from '../events/emit.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import { attemptOf, type Settings } from '../options/settings.ts'
import type { Asker } from '../retries/retry.ts'
import { withDeadline, withinAnswerTime } from '../time/deadline.ts'
import { type Connector, outOfTime } from './connector.ts'
import { isQuiet, settle, silenceMs } from './freeze.ts'
import { connectDeadline, type Invocation, initialisation } from './invocation.ts'
import type { Lease, Lender } from './source.ts'

interface Held<Connection> {
  readonly connection: Connection
  lastUsedMs: number
}

interface ClientLease<Connection> extends Lease<Connection> {
  readonly held: Held<Connection>
  readonly invocation: Invocation
}

/** Lends each invocation a connection of its own, and keeps it for the next one. */
export function createClientLender<Connection>(
  driver: Driver<Connection>,
  connect: Connector<Connection>,
  settings: Settings,
): Lender<Connection> {
  const { max, oneAtATime, pingAfterIdleMs } = settings
  const idle: Held<Connection>[] = []
  const lent = new Set<ClientLease<Connection>>()
  const waiting: (() => void)[] = []
  // All there are: idle, lent, being looked at or tidied up, and on their way.
  let total = 0
  let prefetching: Promise<void> | undefined
  let prefetchEndsMs = 0
  let prefetchFailure: RdsIamError | undefined
  let isShuttingDown = false

  const open = async (asker: Asker): Promise<Held<Connection>> => {
    total += 1
    try {
      return { connection: await connect(asker), lastUsedMs: Date.now() }
    } catch (error) {
      forget()
      throw error
    }
  }

  /** There is room for another one. */
  const forget = (): void => {
    total -= 1
    waiting.shift()?.()
  }

  const lease = (held: Held<Connection>, invocation: Invocation): ClientLease<Connection> => {
    const lease = { connection: held.connection, held, invocation }
    lent.add(lease)
    return lease
  }

  const keep = (held: Held<Connection>): void => {
    if (isShuttingDown) return void discard(held, 'shutdown')
    idle.push(held)
    waiting.shift()?.()
  }

  const discard = ({ connection }: Held<Connection>, reason: ConnectionClosedReason): Promise<void> => {
    const closed = driver.close(connection)
    forget()
    report(settings, { event: 'connection:closed', reason, connections: 1 })
    return closed
  }

  /** A kept connection that is alive, and the last one that was used first. */
  const takeIdle = async (deadlineMs: number): Promise<Held<Connection> | undefined> => {
    for (let held = idle.pop(); held !== undefined; held = idle.pop()) {
      const { connection, lastUsedMs } = held
      await settle()
      if (!driver.isUsable(connection)) {
        void discard(held, 'lost')
        continue
      }
      const silentMs = silenceMs(lastUsedMs)
      if (silentMs < pingAfterIdleMs) return held
      const startedMs = performance.now()
      // Half of the time: where no answer comes, the rest is for a new connection.
      const ping = withinAnswerTime(driver.ping(connection), (deadlineMs - Date.now()) / 2)
      if (
        await ping.then(
          () => true,
          () => false,
        )
      ) {
        const durationMs = elapsedMs(startedMs)
        report(settings, { event: 'connection:reused', silenceMs: silentMs, durationMs })
        return held
      }
      // The others have been silent for longer: what lost one flow has lost them too, and to wait for each would take too long.
      for (const silent of [held, ...idle.splice(0)]) void discard(silent, 'silent')
    }
    return undefined
  }

  /** Neither `after` nor `onError` of an earlier invocation need have run. */
  const reclaim = async ({ id }: Invocation, deadlineMs: number): Promise<void> => {
    const restored: (void | Promise<void>)[] = []
    for (const lease of lent) {
      if (lease.invocation.deadlineMs < Date.now()) abandon(lease)
      // Nobody knows when it was used last.
      else if (oneAtATime && lease.invocation.id !== id) restored.push(giveBack(lease, lease.held.lastUsedMs))
    }
    // Half of the time: where no answer comes, the rest is for a new connection.
    const leftMs = (deadlineMs - Date.now()) / 2
    await withDeadline(Promise.all(restored), leftMs, () => new Error('no answer')).catch(() => {})
  }

  const lendSlowly = async (invocation: Invocation): Promise<Lease<Connection>> => {
    const deadlineMs = connectDeadline(invocation, settings.connectTimeoutMs)
    const late = outOfTime(settings, deadlineMs)
    for (;;) {
      if (lent.size > 0) await reclaim(invocation, deadlineMs)
      const held = await takeIdle(deadlineMs)
      if (held !== undefined) return lease(held, invocation)
      // One that was frozen for longer than it may take has lost its time, and maybe its flow: nobody waits for it.
      const isStale = prefetching !== undefined && prefetchEndsMs <= Date.now()
      if (prefetching !== undefined && !isStale) {
        const tell = () => prefetchFailure ?? diagnose(late(), attemptOf(settings, invocation.account))
        const waiting = withDeadline(prefetching, Math.min(deadlineMs, prefetchEndsMs) - Date.now(), tell)
        await (prefetchEndsMs < deadlineMs ? waiting.catch(() => {}) : waiting)
      } else if (total < max + (isStale ? 1 : 0)) {
        return lease(await open({ deadlineMs, account: invocation.account }), invocation)
      } else if (idle.length === 0) {
        await waitForOne(deadlineMs, invocation)
      }
    }
  }

  const waitForOne = async (deadlineMs: number, { account }: Invocation): Promise<void> => {
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>()
    waiting.push(wake)
    const inUse = () =>
      diagnose(new Error(`all connections are in use (max is ${max})`), attemptOf(settings, account))
    // One whose time is over may never give its connection back: from then on it is taken.
    const reclaimableMs = Math.min(...[...lent].map(({ invocation }) => invocation.deadlineMs + 1))
    const served = withDeadline(woken, Math.min(deadlineMs, reclaimableMs) - Date.now(), inUse).finally(
      () => {
        const position = waiting.indexOf(wake)
        if (position >= 0) waiting.splice(position, 1)
      },
    )
    await (reclaimableMs < deadlineMs ? served.catch(() => {}) : served)
  }

  const restore = async (held: Held<Connection>): Promise<void> => {
    try {
      await restoreSession(driver, held.connection, settings)
    } catch {
      return void discard(held, 'not-restored')
    }
    held.lastUsedMs = Date.now()
    keep(held)
  }

  const giveBack = (given: Lease<Connection>, lastUsedMs = Date.now()): void | Promise<void> => {
    const lease = given as ClientLease<Connection>
    if (!lent.delete(lease)) return
    const { held } = lease
    held.lastUsedMs = lastUsedMs
    if (!driver.isUsable(held.connection)) return void discard(held, 'ended')
    if (driver.isBusy(held.connection)) return void discard(held, 'query-running')
    if (!isClean(driver, held.connection, settings)) return restore(held)
    keep(held)
  }

  const abandon = (given: Lease<Connection>): void => {
    const lease = given as ClientLease<Connection>
    if (!lent.delete(lease)) return
    void discard(lease.held, 'cut-off')
  }

  return {
    prefetch() {
      const deadlineMs = connectDeadline(initialisation, settings.connectTimeoutMs)
      prefetchEndsMs = deadlineMs
      const onRetry = (failure: RdsIamError): void => {
        prefetchFailure = failure
      }
      prefetching = open({ deadlineMs, account: undefined, onRetry })
        .then(keep, () => {})
        .finally(() => {
          prefetching = undefined
        })
    },
    lend(invocation) {
      const held = idle.at(-1)
      if (
        held === undefined ||
        lent.size > 0 ||
        isQuiet(held.lastUsedMs, pingAfterIdleMs) ||
        !driver.isUsable(held.connection)
      ) {
        return lendSlowly(invocation)
      }
      idle.pop()
      return lease(held, invocation)
    },
    giveBack: lease => giveBack(lease),
    abandon,
    async shutDown() {
      isShuttingDown = true
      await Promise.all(idle.splice(0).map(held => discard(held, 'shutdown')))
    },
  }
}
