import type { Access } from '../access/access.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import type { Attempted, AttemptTerms, Dialling } from '../retries/open.ts'
import type { Asker } from '../retries/retry.ts'
import { createOpening } from '../retries/writer.ts'
import { withDeadline, withinAnswerTime } from '../time/deadline.ts'
import { settle, silenceMs, waitHalf } from '../time/freeze.ts'
import { type AttemptToken, createAttemptToken } from '../token/attempt-token.ts'
import { type Caller, type Callers, outside } from './callers.ts'
import { createClosing } from './closing.ts'
import type { OpenPool, Session } from './driver.ts'
import { afterResponse, restoreSession, returnSession } from './returning.ts'
import { checkSession, endsWithin, patienceMs } from './session-check.ts'

/** A driver's own pool, as far as acquiring and releasing need it. */
export interface PoolInternals<Connection> {
  /**
   * Asks the pool once. It opens a connection at once for that, or gives an idle one, or lets the caller
   * wait.
   *
   * @param isBeside Whether it is to open one also where the pool is full: one that is on its way is silent.
   */
  ask(asker: Asker, isBeside?: boolean): Asked<Connection>
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
  /** The physical connection that it opens, if it does. */
  readonly dialling: Dialling | undefined
}

/** What requests to a pool are made of. */
export interface PoolParts<Connection> {
  readonly access: Access
  readonly settings: Pick<
    ConnectionSettings,
    'max' | 'retryRefused' | 'targetSessionAttrs' | 'resetSession' | 'isResetChosen' | 'pingAfterIdleMs'
  >
  readonly internals: PoolInternals<Connection>
  /** Who uses the pool in turn, where that is known: then sessions are put back between one and the next. */
  readonly callers: Callers | undefined
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

/** A caller that waits for a connection. */
interface Request<Connection> {
  readonly caller: Caller | undefined
  readonly tell: Serve<Connection>
}

/** What a connection is opened for. */
interface Wish {
  /** Whether anybody still waits for it. */
  readonly isWanted?: () => boolean
  /** Whether it is opened for nobody yet, and is itself what others wait for. */
  readonly isWarming?: boolean
  /** Whether it is opened beside what does not answer, be the pool full. */
  readonly isBeside?: boolean
}

/** Acquires and releases the connections of a driver's pool. */
export function createPoolRequests<Connection extends object>(
  parts: PoolParts<Connection>,
): PoolRequests<Connection> {
  const { access, settings, internals, callers, askerNow } = parts
  const { pingAfterIdleMs, resetSession, isResetChosen } = settings
  // Without callers to tell apart, everybody who takes a connection is one.
  const resetsAtRelease = callers === undefined && resetSession && isResetChosen
  const resetsForNext = callers !== undefined && resetSession
  // What users have, and wait for.
  const acquired = new Map<Connection, Caller | undefined>()
  const requests = new Map<object, Request<Connection>>()
  // Connections that are opened for nobody yet, and will soon be idle.
  const warming = new Set<Promise<unknown>>()
  let awaitingWarm = 0
  // Those that do not keep the process alive.
  const idle = new Set<Connection>()
  // Nobody is to get what is still on its way back.
  let isDiscarded = false
  // When a connection last proved to be alive, by the wall clock, in milliseconds.
  const lastUsed = new WeakMap<object, number>()
  // How long it took to open the latest connection, in milliseconds.
  let connectMs = 0
  let isTrustLoaded = false
  const closing = createClosing(() => acquired.size + requests.size === 0)

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
    outside(() => internals.putBack(connection))
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

  const ask = (asker: Asker, isBeside = false): Asked<Connection> =>
    outside(() => internals.ask(asker, isBeside))

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

  /** What to wait for rather than to open another connection, where nobody else waits for it. */
  const findWarming = (): Promise<unknown> | undefined =>
    internals.counts().idle === 0 && warming.size > awaitingWarm ? Promise.race(warming) : undefined

  const waitForWarming = async (soon: Promise<unknown>, { deadlineMs }: Asker): Promise<void> => {
    awaitingWarm += 1
    // A second at most: a flow that was lost meanwhile shows nothing.
    await waitHalf(soon, Math.min(deadlineMs, Date.now() + 2_000))
    awaitingWarm -= 1
  }

  // A check that is late finds its connection closed.
  const discarded = new WeakSet<object>()

  const discard = (connection: Connection, reason: ConnectionClosedReason): void => {
    if (discarded.has(connection as object)) return
    discarded.add(connection as object)
    internals.remove(connection, true)
    tellClosed(reason, 1)
  }

  /** Puts a connection back that came too late, or closes it where there is no room. */
  const putBackSpare = (connection: Connection): void => {
    if (internals.counts().all > settings.max) discard(connection, 'overtaken')
    else putBack(connection)
  }

  const isSilent = (connection: Connection): boolean =>
    silenceMs(lastUsed.get(connection as object) ?? Date.now()) >= Math.max(1, pingAfterIdleMs)

  // Those that have not answered yet.
  const checking = new Set<Connection>()

  /** Discards what did not answer. */
  const giveUp = (connection: Connection): void => {
    const hasLostFlow = isSilent(connection)
    discard(connection, hasLostFlow ? 'silent' : 'not-restored')
    if (!hasLostFlow) return
    // What lost one flow has lost the others too, and to wait for each would take too long.
    for (const other of checking) if (isSilent(other)) discard(other, 'silent')
    void withIdle(async other => (isSilent(other) ? discard(other, 'silent') : putBack(other)))
  }

  /** Whether a connection that was idle needs no check: it has just been used, and is as it was. */
  const isFresh = (connection: Connection, { deadlineMs, quietMs = 0 }: Asker): boolean => {
    const session = internals.sessionOf(connection)
    const usedMs = lastUsed.get(connection)
    if (usedMs === undefined || Date.now() >= deadlineMs) return false
    const silence = silenceMs(usedMs)
    return (
      session.restoration === undefined &&
      silence < Math.max(1, quietMs) &&
      silence < Math.max(pingAfterIdleMs, quietMs) &&
      session.isUsable()
    )
  }

  /** Whether a connection that was idle is alive and restored. One that is not is discarded. */
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
    const pingAfterMs = Math.max(pingAfterIdleMs, quietMs)
    if (session.restoration === undefined && silence < pingAfterMs) return true
    checking.add(connection)
    const reason = await checkSession(access, session, { silenceMs: silence, pingAfterMs, deadlineMs })
    checking.delete(connection)
    if (reason === undefined) {
      if (silence >= pingAfterMs) lastUsed.set(connection as object, Date.now())
      return true
    }
    if (reason === 'silent') giveUp(connection)
    else discard(connection, reason)
    return false
  }

  /**
   * Waits for a check. When it takes longer than a healthy network needs, another connection is opened beside
   * it, be the pool full, and the first to be ready serves.
   */
  const overtake = async (
    connection: Connection,
    checking: Promise<boolean>,
    asker: Asker,
    terms: AttemptTerms,
  ): Promise<Connection | undefined> => {
    const timeMs = patienceMs(connectMs, isSilent(connection))
    if (await endsWithin(checking, timeMs)) return (await checking) ? connection : undefined
    // The pool would give the others first, which have been silent for as long.
    void withIdle(async other => (await isAlive(other, asker)) && putBack(other))
    const opening = take(asker, { ...terms, isBeside: true })
    const alive = checking.then(isAlive => (isAlive ? connection : Promise.reject(new Error('not alive'))))
    const served = await Promise.any([opening, alive]).catch(() => undefined)
    if (served === connection) opening.then(putBackSpare, () => {})
    else giveUp(connection)
    return served ?? (await opening)
  }

  const loadTrust = async ({ deadlineMs }: Asker): Promise<void> => {
    const late = () => new Error('the authorities could not be read in time')
    await withDeadline(access.trust.load(), deadlineMs - Date.now(), late)
    isTrustLoaded = true
  }

  /** A connection of the driver's pool, new or idle. */
  const take = async (asker: Asker, { isBeside, onDial }: AttemptTerms): Promise<Connection> => {
    const startedMs = performance.now()
    const asked = ask(asker, isBeside)
    if (asked.dialling !== undefined) onDial(asked.dialling)
    const connection = await wait(asked, asker)
    if (!lastUsed.has(connection as object)) connectMs = performance.now() - startedMs
    return connection
  }

  /** A connection that is alive, and has no state but its own. */
  const takeAlive = async (
    asker: Asker,
    caller: Caller | undefined,
    terms: AttemptTerms,
  ): Promise<Connection> => {
    for (;;) {
      const connection = await take(asker, terms)
      const session = internals.sessionOf(connection)
      // Two that nobody knows may be two.
      if (resetsForNext && (caller === undefined || session.user !== caller) && session.isUsable())
        restoreSession(session, { access, reset: true })
      if (isFresh(connection, asker)) {
        takeOut(connection)
        return connection
      }
      const served = await overtake(connection, isAlive(connection, asker), asker, terms)
      if (served !== undefined) return served
    }
  }

  const attempt = async (
    asker: Asker,
    caller: Caller | undefined,
    isWarming: boolean,
    terms: AttemptTerms,
  ): Promise<Attempted<Connection>> => {
    if (!isTrustLoaded) {
      try {
        await loadTrust(asker)
      } catch (error) {
        return { error, token: createAttemptToken(access.tokens) }
      }
    }
    internals.discardOpening(Date.now())
    const soon = isWarming || terms.isBeside ? undefined : findWarming()
    if (soon !== undefined) await waitForWarming(soon, asker)
    try {
      return { connection: await takeAlive(asker, caller, terms) }
    } catch (error) {
      if (internals.isUsers(error)) throw error
      return { error, token: internals.tokenOf(error) }
    }
  }

  const opening = createOpening<Connection>({
    access,
    settings,
    connections: {
      takesWrites: connection => internals.sessionOf(connection).takesWrites(),
      isUsable: connection => internals.sessionOf(connection).isUsable(),
      discard,
      // One that is kept has a place of the pool's.
      hasRoom: () => internals.counts().all < settings.max,
    },
  })

  const open = (
    asker: Asker,
    caller: Caller | undefined,
    { isWanted = () => true, isWarming = false, isBeside = false }: Wish = {},
  ): Promise<Connection> =>
    opening.open(asker, {
      attempt(terms) {
        if (!isWanted()) throw new Error('nobody waits for the connection any more')
        return attempt(asker, caller, isWarming, isBeside ? { ...terms, isBeside } : terms)
      },
      discard: putBackSpare,
    })

  const takeBack = (connection: Connection, reason?: ConnectionClosedReason): void => {
    const keeper = {
      access,
      reset: resetsAtRelease,
      keep: () => putBackUsed(connection),
      // The user who ended a connection hears of its queries.
      discard: (reason: ConnectionClosedReason) => internals.remove(connection, reason !== 'ended'),
    }
    returnSession(internals.sessionOf(connection), keeper, reason)
    closing.check()
  }

  const forgetRequests = (isForgotten: (caller: Caller | undefined) => boolean): number => {
    const before = requests.size
    for (const [request, { caller }] of requests) if (isForgotten(caller)) requests.delete(request)
    return before - requests.size
  }

  /** Does something with every idle connection. One that cannot be had is not missed. */
  const withIdle = async (act: (connection: Connection) => Promise<unknown>): Promise<void> => {
    const run = async (): Promise<unknown> => {
      const connection = await ask(askerNow()).connection
      takeOut(connection)
      return act(connection)
    }
    await Promise.allSettled(Array.from({ length: internals.counts().idle }, run))
  }

  /** @param isBeside Whether it is opened beside what does not answer, be the pool full. */
  const warm = (asker: Asker, isBeside = false): Promise<void> => {
    const warmed = open(asker, undefined, { isWarming: true, isBeside }).then(connection => {
      lastUsed.set(connection as object, Date.now())
      if (!isBeside) return putBack(connection)
      for (const silent of checking) giveUp(silent)
      putBackSpare(connection)
    })
    const settled: Promise<unknown> = warmed.catch(() => {}).then(() => warming.delete(settled))
    warming.add(settled)
    return warmed
  }

  const requestsOfPool: PoolRequests<Connection> = {
    acquire(serve) {
      const request = {}
      const caller = callers?.current()
      isDiscarded = false
      // What the user's own function throws is no failure of the request. Until then it can be forgotten.
      const tell: Serve<Connection> = (error, connection) =>
        process.nextTick(() => {
          if (!requests.delete(request)) return
          closing.check()
          serve(error, connection)
        })
      requests.set(request, { caller, tell })
      if (closing.isClosed()) return tell(closing.error(access.target), undefined)
      open(askerNow(), caller, { isWanted: () => requests.has(request) }).then(
        connection => {
          if (!requests.has(request)) return putBack(connection)
          acquired.set(connection, caller)
          const session = takeOut(connection)
          session.user = caller
          session.begin()
          tell(undefined, connection)
        },
        error => tell(error, undefined),
      )
    },
    acquireAgain(serve) {
      open(askerNow(), callers?.current()).then(
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
      return requests.size > 0 || all - idle > acquired.size
    },
    endUse(caller) {
      // A caller that has ended may have taken something afterwards.
      const isTheirs = (user: Caller | undefined): boolean =>
        caller === undefined || user === caller || user?.hasEnded === true
      const forgotten = forgetRequests(isTheirs)
      let closed = 0
      for (const [connection, user] of acquired) {
        if (!isTheirs(user)) continue
        acquired.delete(connection)
        internals.remove(connection, true)
        closed += 1
      }
      for (const connection of idle) {
        const session = internals.sessionOf(connection)
        if (resetsForNext && isTheirs(session.user) && session.isUsable())
          restoreSession(session, { access, reset: true }, afterResponse())
      }
      return { closed, forgotten }
    },
    discardAll() {
      const { all } = internals.counts()
      isDiscarded = true
      forgetRequests(() => true)
      opening.drop()
      for (const connection of acquired.keys()) internals.remove(connection, true)
      acquired.clear()
      internals.discardOpening(Number.POSITIVE_INFINITY)
      void withIdle(async connection => internals.remove(connection, true))
      return all
    },
    warm,
    async checkIdle(asker) {
      if (internals.counts().idle === 0) return
      const timeMs = patienceMs(connectMs, [...idle].some(isSilent))
      const alive = new Promise<void>((resolve, reject) => {
        withIdle(async connection => {
          if (!(await isAlive(connection, asker))) return
          putBack(connection)
          resolve()
        }).then(() => reject(new Error('none is alive')))
      })
      if (await endsWithin(alive, timeMs)) return
      const warmed = warm(asker, true)
      await Promise.any([alive, warmed]).catch(() => warmed)
    },
    async closeIdle() {
      const { idle } = internals.counts()
      if (idle === 0) return
      tellClosed('shutdown', idle)
      await withIdle(async connection => {
        const { restoration } = internals.sessionOf(connection)
        // A driver does not end politely what it takes for busy.
        if (restoration !== undefined) await withinAnswerTime(restoration).catch(() => {})
        await internals.end(connection)
      })
    },
    refIdle() {
      for (const connection of idle) internals.sessionOf(connection).ref()
    },
    close: timeMs =>
      closing.close(async () => {
        for (const { tell } of requests.values()) tell(closing.error(access.target), undefined)
        // Who still has one hears of it by its queries.
        for (const connection of acquired.keys()) internals.remove(connection, false)
        acquired.clear()
        opening.drop()
        internals.discardOpening(Number.POSITIVE_INFINITY)
        await requestsOfPool.closeIdle()
        internals.close()
      }, timeMs),
  }
  return requestsOfPool
}
