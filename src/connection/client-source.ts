import type { Access } from '../access/access.ts'
import type { Callers } from '../drivers/callers.ts'
import { createClosing } from '../drivers/closing.ts'
import type { Opened } from '../drivers/driver.ts'
import { returnSession } from '../drivers/returning.ts'
import { checkSession, endsWithin, patienceMs } from '../drivers/session-check.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import type { Asker } from '../retries/retry.ts'
import { withDeadline } from '../time/deadline.ts'
import { isQuiet, settle, silenceMs } from '../time/freeze.ts'
import { type Connector, outOfTime } from './connector.ts'
import { connectDeadline, type Invocation, initialisation } from './invocation.ts'
import { createPrefetch } from './prefetch.ts'
import type { ConnectionSource, Lease } from './source.ts'

/** What a source of clients is made of. */
export interface ClientSourceParts<Connection> {
  readonly connect: Connector<Connection>
  readonly access: Access
  readonly settings: ConnectionSettings
  readonly callers: Callers
}

interface Held<Connection> extends Opened<Connection> {
  /** How long it took to connect, in milliseconds. */
  readonly connectMs: number
  lastUsedMs: number
}

interface ClientLease<Connection> extends Lease<Connection> {
  readonly held: Held<Connection>
  readonly invocation: Invocation
}

/** Gives each invocation a connection of its own, and keeps it for the next one. */
export function createClientSource<Connection>(
  parts: ClientSourceParts<Connection>,
): ConnectionSource<Connection> {
  const { connect, access, settings, callers } = parts
  const { max, oneAtATime, pingAfterIdleMs } = settings
  const idle: Held<Connection>[] = []
  const leases = new Set<ClientLease<Connection>>()
  const waiting: (() => void)[] = []
  const prefetch = createPrefetch(access)
  // Connections in any state, opening included.
  let total = 0
  let isShuttingDown = false
  const closing = createClosing(() => total === idle.length)

  const open = async (asker: Asker): Promise<Held<Connection>> => {
    total += 1
    const startedMs = performance.now()
    try {
      const opened = await connect(asker)
      return { ...opened, connectMs: performance.now() - startedMs, lastUsedMs: Date.now() }
    } catch (error) {
      makeRoom()
      throw error
    }
  }

  const makeRoom = (): void => {
    total -= 1
    waiting.shift()?.()
    closing.check()
  }

  const lease = (held: Held<Connection>, invocation: Invocation): ClientLease<Connection> => {
    const lease = { connection: held.connection, held, invocation }
    held.session.user = invocation
    held.session.ref()
    leases.add(lease)
    return lease
  }

  const keep = (held: Held<Connection>): void => {
    if (isShuttingDown) return void close(held, 'shutdown')
    held.session.unref()
    idle.push(held)
    waiting.shift()?.()
  }

  const close = ({ session }: Held<Connection>, reason: ConnectionClosedReason): Promise<void> => {
    const closed = session.close()
    makeRoom()
    access.emit({ event: 'connection:closed', reason, connections: 1 })
    return closed
  }

  /** A kept connection that is alive. The one that was used last is tried first. */
  const takeIdle = async (asker: Asker): Promise<Held<Connection> | undefined> => {
    for (let held = idle.pop(); held !== undefined; held = idle.pop()) {
      const { session, lastUsedMs } = held
      if (isQuiet(lastUsedMs, pingAfterIdleMs)) await settle()
      if (!session.isUsable()) {
        void close(held, 'lost')
        continue
      }
      if (session.restoration === undefined && silenceMs(lastUsedMs) < pingAfterIdleMs) return held
      const served = await check(held, asker)
      if (served !== undefined) return served
    }
    return undefined
  }

  /**
   * Checks a connection that has been silent, or is being restored. When it does not answer as fast as it
   * should, another one is begun beside it, and the first to be ready serves.
   */
  const check = async (held: Held<Connection>, asker: Asker): Promise<Held<Connection> | undefined> => {
    const silence = silenceMs(held.lastUsedMs)
    const { deadlineMs } = asker
    const checking = checkSession(access, held.session, {
      silenceMs: silence,
      pingAfterMs: pingAfterIdleMs,
      deadlineMs,
    })
    if (await endsWithin(checking, patienceMs(held.connectMs, silence >= pingAfterIdleMs))) {
      const reason = await checking
      if (reason === undefined) return held
      closeChecked(held, reason)
      return undefined
    }
    const opening = open(asker)
    const alive = checking.then(reason => (reason === undefined ? held : Promise.reject(new Error(reason))))
    // Where no other one can be opened, this one may still be alive.
    const served = await Promise.any([opening, alive]).catch(() => undefined)
    if (served === held) {
      opening.then(
        spare => close(spare, 'overtaken'),
        () => {},
      )
      return held
    }
    closeChecked(held, silence < pingAfterIdleMs ? 'not-restored' : 'silent')
    return served ?? (await opening)
  }

  const closeChecked = (held: Held<Connection>, reason: ConnectionClosedReason): void => {
    void close(held, reason)
    // The others have been silent for longer: what lost one flow has lost them too, and to wait for each
    // would take too long.
    if (reason === 'silent') for (const silent of idle.splice(0)) void close(silent, reason)
  }

  /** Neither `after` nor `onError` of an earlier invocation need have run. */
  const reclaim = ({ id }: Invocation): void => {
    for (const lease of leases) {
      const { invocation, held } = lease
      if (invocation.deadlineMs < Date.now()) discard(lease)
      // Nobody knows when it was used last.
      else if (oneAtATime && invocation.id !== id) release(lease, held.lastUsedMs)
    }
  }

  const acquireSlowly = async (invocation: Invocation): Promise<Lease<Connection>> => {
    const { account } = invocation
    const deadlineMs = connectDeadline(invocation, settings.connectTimeoutMs)
    const late = outOfTime(settings, deadlineMs)
    const explain = (error: unknown) => Promise.reject(access.explain(error, { account }))
    let effort: Asker['effort']
    for (;;) {
      if (closing.isClosed()) throw closing.error(access.target)
      if (leases.size > 0) reclaim(invocation)
      const held = await takeIdle({ deadlineMs, account })
      if (held !== undefined) return lease(held, invocation)
      if (prefetch.isPending()) {
        await prefetch.wait({ deadlineMs, account }, late).catch(explain)
        effort = prefetch.failedEffort()
      } else if (total < max + (prefetch.isStale() ? 1 : 0)) {
        return lease(await open({ deadlineMs, account, effort }), invocation)
      } else if (idle.length === 0) {
        await waitForOne(deadlineMs, invocation)
      }
    }
  }

  const waitForOne = async (deadlineMs: number, { account }: Invocation): Promise<void> => {
    const { promise: woken, resolve: wake } = Promise.withResolvers<void>()
    waiting.push(wake)
    const inUse = () => access.explain(new Error(`all connections are in use (max is ${max})`), { account })
    // One whose time is over may never release its connection: from then on it is reclaimed.
    const reclaimableMs = Math.min(...[...leases].map(({ invocation }) => invocation.deadlineMs + 1))
    const served = withDeadline(woken, Math.min(deadlineMs, reclaimableMs) - Date.now(), inUse).finally(
      () => {
        const position = waiting.indexOf(wake)
        if (position >= 0) waiting.splice(position, 1)
      },
    )
    await (reclaimableMs < deadlineMs ? served.catch(() => {}) : served)
  }

  const release = (given: Lease<Connection>, lastUsedMs?: number): void => {
    const isReclaimed = lastUsedMs !== undefined
    const lease = given as ClientLease<Connection>
    // A handler that called another one goes on behind it.
    lease.invocation.hasEnded = !isReclaimed || !callers.isWithin(lease.invocation)
    if (!leases.delete(lease)) return
    const { held } = lease
    held.lastUsedMs = lastUsedMs ?? Date.now()
    returnSession(held.session, {
      access,
      reset: settings.resetSession,
      keep: () => keep(held),
      discard() {
        void held.session.close()
        makeRoom()
      },
    })
  }

  const discard = (given: Lease<Connection>): void => {
    const lease = given as ClientLease<Connection>
    lease.invocation.hasEnded = true
    lease.invocation.wasCutOff = true
    if (leases.delete(lease)) void close(lease.held, 'cut-off')
  }

  const shutDown = async (): Promise<void> => {
    isShuttingDown = true
    await Promise.all(idle.splice(0).map(held => close(held, 'shutdown')))
  }

  return {
    prefetch() {
      const deadlineMs = connectDeadline(initialisation, settings.connectTimeoutMs)
      prefetch.begin(deadlineMs, async effort =>
        keep(await open({ deadlineMs, account: undefined, isAhead: true, effort })),
      )
    },
    acquire(invocation) {
      callers.enter(invocation)
      const held = idle.at(-1)
      // After `close()` none is idle.
      if (
        held === undefined ||
        leases.size > 0 ||
        held.session.restoration !== undefined ||
        isQuiet(held.lastUsedMs, pingAfterIdleMs) ||
        !held.session.isUsable()
      ) {
        return acquireSlowly(invocation).catch(error => {
          invocation.hasEnded = true
          throw error
        })
      }
      idle.pop()
      return lease(held, invocation)
    },
    begin: lease => (lease as ClientLease<Connection>).held.session.begin(),
    release: lease => release(lease),
    discard,
    shutDown,
    async close() {
      const ended = shutDown()
      const closed = closing.close(async () => {
        await ended
        for (const lease of leases) discard(lease)
      })
      // Each finds that there will be none.
      for (const wake of waiting.splice(0)) wake()
      await closed
    },
  }
}
