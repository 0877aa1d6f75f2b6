import type { Access } from '../access/access.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import { type Asker, type Attempted, openWithRetries } from '../retries/retry.ts'
import { withDeadline } from '../time/deadline.ts'
import { settle, silenceMs, waitHalf } from '../time/freeze.ts'
import { type AttemptToken, createAttemptToken } from '../token/attempt-token.ts'
import { createClosing } from './closing.ts'
import type { OpenPool, Session } from './driver.ts'
import { returnSession } from './returning.ts'
import { checkSession } from './session-check.ts'

/** A driver's own pool, as far as acquiring and releasing need it. */
export interface PoolInternals<Connection> {
  /**
   * Asks the pool once. It opens a connection at once for that, or gives an idle one, or lets the caller
   * wait.
   */
  ask(asker: Asker): Asked<Connection>
  /**
   * The token of the attempt to connect that ended with an error; `undefined` for any other error of the
   * pool.
   */
  tokenOf(error: unknown): AttemptToken | undefined
  sessionOf(connection: Connection): Session
  /**
   * Closes the connections that are still being opened although their time was over. The process was frozen
   * meanwhile, so that their flow may be lost, and each takes the place of another.
   *
   * @param nowMs The wall clock, in milliseconds since the epoch.
   */
  discardOpening(nowMs: number): void
  /** Whether a query has ended in this very moment, so that the driver still takes it for running. */
  isEnding(connection: Connection): boolean
  /** Puts a connection back among the idle ones. */
  putBack(connection: Connection): void
  /**
   * Takes a connection out of the pool, and closes it at once.
   *
   * @param isAbandoned Whether nobody waits for its queries any more: an error that nobody awaits would end
   * the process.
   */
  remove(connection: Connection, isAbandoned: boolean): void
  /** Takes an idle connection out of the pool, and ends it politely. Resolves when its socket is closed. */
  end(connection: Connection): Promise<void>
  /** Does again what the user has done to each new connection, which a reset has undone. */
  onReset?(connection: Connection): unknown
  /** How many connections there are, opening ones included, and how many of them are idle. */
  counts(): { readonly all: number; readonly idle: number }
  isOpen(): boolean
  /** Whether an error is to reach the caller as it is: the driver's own, of a pool that its user ended, or a hook's. */
  isUsers(error: unknown): boolean
  close(): void
}

/** What a pool answers when it is asked for a connection. */
export interface Asked<Connection> {
  readonly connection: Promise<Connection>
  /** Whether it may last until another one is released. */
  readonly isWaiting: boolean
}

/** What requests to a pool are made of. */
export interface PoolParts<Connection> {
  readonly access: Access
  readonly settings: Pick<ConnectionSettings, 'max' | 'retryRefused' | 'resetSession' | 'pingAfterIdleMs'>
  readonly internals: PoolInternals<Connection>
  /** On whose behalf the pool is asked now. */
  readonly askerNow: () => Asker
}

/** Is called with a connection, or with what the request for it failed with. */
export type Serve<Connection> = (error: Error | undefined, connection: Connection | undefined) => void

/**
 * How a pool's users get connections and give them back, and how the pool is looked after meanwhile.
 */
export interface PoolRequests<Connection> extends Omit<OpenPool<unknown>, 'pool'> {
  /** Gives a user a connection, and calls nothing where the request is forgotten before. */
  acquire(serve: Serve<Connection>): void
  /**
   * Gives a connection to what `ask` let wait, where the driver cannot open one for it without asking again.
   * It is no further request.
   */
  acquireAgain(serve: Serve<Connection>): void
  /** Whether a user has the connection. */
  isAcquired(connection: Connection): boolean
  /**
   * Takes a connection back from its user. Does nothing where it is nobody's.
   *
   * @param reason Why it is to be closed in any case.
   */
  release(connection: Connection, reason?: ConnectionClosedReason): void
  /** Forgets a connection that left the pool by itself. */
  forget(connection: Connection): void
  /** Has idle connections keep the process alive: somebody waits for their end. */
  refIdle(): void
}

/** Acquires and releases the connections of a driver's pool. */
export function createPoolRequests<Connection>(parts: PoolParts<Connection>): PoolRequests<Connection> {
  const { access, settings, internals, askerNow } = parts
  const { pingAfterIdleMs } = settings
  // What users have, wait for, and gave back.
  const acquired = new Set<Connection>()
  const requests = new Map<object, Serve<Connection>>()
  const restoring = new Set<Promise<unknown>>()
  // Connections that will soon be idle: restored, or opened for nobody yet.
  const coming = new Set<Promise<unknown>>()
  let awaitingComing = 0
  // Those that do not keep the process alive.
  const idle = new Set<Connection>()
  // Nobody is to get what is still on its way back.
  let isDiscarded = false
  // When a connection last proved to be alive, by the wall clock, in milliseconds.
  const lastUsed = new WeakMap<object, number>()
  let isTrustLoaded = false
  const closing = createClosing(() => acquired.size + requests.size + restoring.size === 0)

  const tellClosed = (reason: ConnectionClosedReason, connections: number): void =>
    access.emit({ event: 'connection:closed', reason, connections })

  /** Puts a connection back that no user has. mysql2 may have taken it for a user's. */
  const putBack = (connection: Connection): void => {
    acquired.delete(connection)
    if (isDiscarded) {
      internals.remove(connection, true)
      return
    }
    // One that was opened in vain has just been alive.
    if (!lastUsed.has(connection as object)) lastUsed.set(connection as object, Date.now())
    // A pool that was ended ends it, and who waits for that has it keep the process alive.
    if (internals.isOpen()) {
      internals.sessionOf(connection).unref()
      idle.add(connection)
    }
    internals.putBack(connection)
  }

  /** Puts a connection back that has just been used. */
  const putBackUsed = (connection: Connection): void => {
    lastUsed.set(connection as object, Date.now())
    putBack(connection)
  }

  /** Has an idle connection keep the process alive, now that something is done with it. */
  const takeOut = (connection: Connection): Session => {
    const session = internals.sessionOf(connection)
    idle.delete(connection)
    session.ref()
    return session
  }

  /** Keeps a promise in sets while it is pending. */
  const track = (promise: Promise<unknown>, ...sets: readonly Set<Promise<unknown>>[]): void => {
    const settled: Promise<unknown> = promise
      .catch(() => {})
      .then(() => {
        for (const set of sets) set.delete(settled)
        closing.check()
      })
    for (const set of sets) set.add(settled)
  }

  /**
   * Waits for what the pool was asked for, but not beyond the deadline for one that another caller may never
   * release.
   */
  const wait = ({ connection, isWaiting }: Asked<Connection>, { deadlineMs }: Asker): Promise<Connection> => {
    if (!isWaiting) return connection
    let isLate = false
    const late = (): Error => {
      isLate = true
      return new Error(`all connections are in use (max is ${settings.max})`)
    }
    connection.then(
      connection => isLate && putBack(connection),
      () => {},
    )
    return withDeadline(connection, deadlineMs - Date.now(), late)
  }

  /**
   * What to wait for rather than to open another connection: one that is about to be idle, where nobody else
   * waits for it.
   */
  const findComing = (): Promise<unknown> | undefined =>
    internals.counts().idle === 0 && coming.size > awaitingComing ? Promise.race(coming) : undefined

  const waitForComing = async (soon: Promise<unknown>, { deadlineMs }: Asker): Promise<void> => {
    awaitingComing += 1
    // A second at most: a flow that was lost meanwhile shows nothing.
    await waitHalf(soon, Math.min(deadlineMs, Date.now() + 2_000))
    awaitingComing -= 1
  }

  const discard = (connection: Connection, reason: ConnectionClosedReason): void => {
    internals.remove(connection, true)
    tellClosed(reason, 1)
  }

  /** Whether a connection that was idle is alive. One that is not is discarded. */
  const isAlive = async (connection: Connection, { deadlineMs, quietMs = 0 }: Asker): Promise<boolean> => {
    const session = takeOut(connection)
    const usedMs = lastUsed.get(connection as object)
    const silence = usedMs === undefined || Date.now() >= deadlineMs ? -1 : silenceMs(usedMs)
    if (silence >= Math.max(1, quietMs)) await settle()
    // A driver gives what is idle as it is, and hears of an end later than its socket.
    if (!session.isUsable()) {
      discard(connection, 'lost')
      return false
    }
    if (silence < Math.max(pingAfterIdleMs, quietMs)) return true
    if (await checkSession(access, session, { silenceMs: silence, deadlineMs })) {
      lastUsed.set(connection as object, Date.now())
      return true
    }
    discard(connection, 'silent')
    // What lost one flow has lost the others too, and to wait for each would take too long.
    await withIdle(async other => {
      if (silenceMs(lastUsed.get(other as object) ?? 0) >= pingAfterIdleMs) discard(other, 'silent')
      else putBack(other)
    })
    return false
  }

  const attempt = async (asker: Asker, isWarming: boolean): Promise<Attempted<Connection>> => {
    if (!isTrustLoaded) {
      try {
        await withDeadline(
          access.trust.load(),
          asker.deadlineMs - Date.now(),
          () => new Error('the authorities could not be read in time'),
        )
        isTrustLoaded = true
      } catch (error) {
        return { error, token: createAttemptToken(access.tokens) }
      }
    }
    for (;;) {
      internals.discardOpening(Date.now())
      const soon = isWarming ? undefined : findComing()
      if (soon !== undefined) await waitForComing(soon, asker)
      try {
        const connection = await wait(internals.ask(asker), asker)
        if (await isAlive(connection, asker)) return { connection }
      } catch (error) {
        if (internals.isUsers(error)) throw error
        return { error, token: internals.tokenOf(error) }
      }
    }
  }

  /**
   * @param isWanted Whether anybody still waits for the connection.
   * @param isWarming Whether it is opened for nobody yet, and is itself what others wait for.
   */
  const open = (asker: Asker, isWanted = () => true, isWarming = false): Promise<Connection> =>
    openWithRetries({ access, settings }, asker, () => {
      if (!isWanted()) throw new Error('nobody waits for the connection any more')
      return attempt(asker, isWarming)
    })

  const takeBack = (connection: Connection, reason?: ConnectionClosedReason): void => {
    const keeper = {
      access,
      settings,
      keep: () => putBackUsed(connection),
      // The user who ended a connection hears of its queries.
      discard: (reason: ConnectionClosedReason) => internals.remove(connection, reason !== 'ended'),
      onReset: () => internals.onReset?.(connection),
    }
    const returned = returnSession(internals.sessionOf(connection), keeper, reason)
    if (returned !== undefined) track(returned, restoring, coming)
    closing.check()
  }

  const forgetRequests = (): number => {
    const forgotten = requests.size
    requests.clear()
    return forgotten
  }

  /** Does something with every idle connection. One that cannot be had is not missed. */
  const withIdle = async (act: (connection: Connection) => Promise<unknown>): Promise<void> => {
    const run = async (): Promise<unknown> => {
      const connection = await internals.ask(askerNow()).connection
      takeOut(connection)
      return act(connection)
    }
    await Promise.allSettled(Array.from({ length: internals.counts().idle }, run))
  }

  const requestsOfPool: PoolRequests<Connection> = {
    acquire(serve) {
      const request = {}
      isDiscarded = false
      // What the user's own function throws is no failure of the request. Until then it can be forgotten.
      const tell: Serve<Connection> = (error, connection) =>
        process.nextTick(() => {
          if (!requests.delete(request)) return
          closing.check()
          serve(error, connection)
        })
      requests.set(request, tell)
      if (closing.isClosed()) return tell(closing.error(access.target), undefined)
      open(askerNow(), () => requests.has(request)).then(
        connection => {
          if (!requests.has(request)) return putBack(connection)
          acquired.add(connection)
          takeOut(connection)
          tell(undefined, connection)
        },
        error => tell(error, undefined),
      )
    },
    acquireAgain(serve) {
      open(askerNow()).then(
        connection => serve(undefined, connection),
        error => serve(error, undefined),
      )
    },
    isAcquired: connection => acquired.has(connection),
    release(connection, reason) {
      if (!acquired.delete(connection)) return
      if (internals.isEnding(connection)) process.nextTick(takeBack, connection, reason)
      else takeBack(connection, reason)
    },
    forget(connection) {
      acquired.delete(connection)
      idle.delete(connection)
      closing.check()
    },
    isOpen: () => internals.isOpen() && !closing.isClosed(),
    size: () => internals.counts().all,
    isTaking() {
      const { all, idle } = internals.counts()
      return requests.size > 0 || all - idle > acquired.size + restoring.size
    },
    discardAcquired() {
      const counts = { closed: acquired.size, forgotten: forgetRequests() }
      for (const connection of acquired) internals.remove(connection, true)
      acquired.clear()
      return counts
    },
    discardAll() {
      const { all } = internals.counts()
      isDiscarded = true
      requestsOfPool.discardAcquired()
      internals.discardOpening(Number.POSITIVE_INFINITY)
      void withIdle(async connection => internals.remove(connection, true))
      return all
    },
    whenRestored: () => (restoring.size === 0 ? undefined : Promise.all(restoring)),
    warm(asker) {
      const warmed = open(asker, () => true, true).then(putBackUsed)
      track(warmed, coming)
      return warmed
    },
    checkIdle: asker =>
      withIdle(async connection => {
        if (await isAlive(connection, asker)) putBack(connection)
      }),
    async closeIdle() {
      const { idle } = internals.counts()
      if (idle === 0) return
      tellClosed('shutdown', idle)
      await withIdle(connection => internals.end(connection))
    },
    refIdle() {
      for (const connection of idle) internals.sessionOf(connection).ref()
    },
    close: timeMs =>
      closing.close(async () => {
        for (const tell of requests.values()) tell(closing.error(access.target), undefined)
        // Who still has one hears of it by its queries.
        for (const connection of acquired) internals.remove(connection, false)
        acquired.clear()
        internals.discardOpening(Number.POSITIVE_INFINITY)
        await requestsOfPool.closeIdle()
        internals.close()
      }, timeMs),
  }
  return requestsOfPool
}
