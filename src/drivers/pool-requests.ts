import type { Access } from '../access/access.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import { type Asker, type Attempted, openWithRetries } from '../retries/retry.ts'
import { withDeadline } from '../time/deadline.ts'
import type { AttemptToken } from '../token/attempt-token.ts'
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
  /** Whether the driver says by this error that its user has ended the pool. */
  isEnd(error: unknown): boolean
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
  readonly settings: Pick<ConnectionSettings, 'max' | 'retryRefused' | 'resetSession'>
  readonly internals: PoolInternals<Connection>
  /** On whose behalf the handler asks now. */
  readonly askerNow: () => Asker
}

/** Is called with a connection, or with what the request for it failed with. */
export type Serve<Connection> = (error: Error | undefined, connection: Connection | undefined) => void

/**
 * How the handler gets connections of a pool and gives them back, and how the pool is looked after meanwhile.
 */
export interface PoolRequests<Connection> extends Omit<OpenPool<unknown>, 'pool'> {
  /** Gives the handler a connection, and calls nothing where the request is forgotten before. */
  acquire(serve: Serve<Connection>): void
  /**
   * Gives a connection to what `ask` let wait, where the driver cannot open one for it without asking again.
   * It is no further request of the handler.
   */
  acquireAgain(serve: Serve<Connection>): void
  /** Whether the handler has the connection. */
  isAcquired(connection: Connection): boolean
  /**
   * Takes a connection back from the handler. Does nothing where the handler does not have it.
   *
   * @param reason Why it is to be closed in any case.
   */
  release(connection: Connection, reason?: ConnectionClosedReason): void
  /** Forgets a connection that left the pool by itself. */
  forget(connection: Connection): void
}

/** Acquires and releases the connections of a driver's pool. */
export function createPoolRequests<Connection>(parts: PoolParts<Connection>): PoolRequests<Connection> {
  const { access, settings, internals, askerNow } = parts
  // What the handler has, waits for, and gave back.
  const acquired = new Set<Connection>()
  const requests = new Set<object>()
  const restoring = new Set<Promise<unknown>>()

  const tellClosed = (reason: ConnectionClosedReason, connections: number): void =>
    access.emit({ event: 'connection:closed', reason, connections })

  /** Puts a connection back that the handler does not have. mysql2 may have taken it for the handler's. */
  const putBack = (connection: Connection): void => {
    acquired.delete(connection)
    internals.putBack(connection)
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

  const attempt = async (asker: Asker): Promise<Attempted<Connection>> => {
    for (;;) {
      try {
        const connection = await wait(internals.ask(asker), asker)
        // A driver gives what is idle as it is, and hears of an end later than its socket.
        if (internals.sessionOf(connection).isUsable() || Date.now() >= asker.deadlineMs)
          return { connection }
        internals.remove(connection, true)
        tellClosed('lost', 1)
      } catch (error) {
        if (internals.isEnd(error)) throw error
        return { error, token: internals.tokenOf(error) }
      }
    }
  }

  /** @param isWanted Whether anybody still waits for the connection. */
  const open = (asker: Asker, isWanted = () => true): Promise<Connection> =>
    openWithRetries({ access, settings }, asker, () => {
      if (!isWanted()) throw new Error('nobody waits for the connection any more')
      return attempt(asker)
    })

  const takeBack = (connection: Connection, reason?: ConnectionClosedReason): void => {
    const keep = () => internals.putBack(connection)
    // The user who ended a connection hears of its queries.
    const discard = (reason: ConnectionClosedReason) => internals.remove(connection, reason !== 'ended')
    const keeper = { access, settings, keep, discard }
    const returned = returnSession(internals.sessionOf(connection), keeper, reason)
    if (returned === undefined) return
    restoring.add(returned)
    returned.finally(() => restoring.delete(returned))
  }

  const forgetRequests = (): number => {
    const forgotten = requests.size
    requests.clear()
    return forgotten
  }

  /** Does something with every idle connection. One that cannot be had is not missed. */
  const withIdle = async (asker: Asker, act: (connection: Connection) => Promise<void>): Promise<void> => {
    const run = async (): Promise<void> => act(await open(asker))
    await Promise.allSettled(Array.from({ length: internals.counts().idle }, run))
  }

  return {
    acquire(serve) {
      const request = {}
      requests.add(request)
      // What the handler's own function throws is no failure of the request. Until then it can be forgotten.
      const tell: Serve<Connection> = (error, connection) =>
        process.nextTick(() => {
          if (requests.delete(request)) serve(error, connection)
        })
      open(askerNow(), () => requests.has(request)).then(
        connection => {
          if (!requests.has(request)) return putBack(connection)
          acquired.add(connection)
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
    forget: connection => void acquired.delete(connection),
    isOpen: () => internals.isOpen(),
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
    whenRestored: () => (restoring.size === 0 ? undefined : Promise.all(restoring)),
    async warm(asker) {
      putBack(await open(asker))
    },
    checkIdle: (asker, silenceMs) =>
      withIdle(asker, async connection => {
        const { deadlineMs } = asker
        if (await checkSession(access, internals.sessionOf(connection), { silenceMs, deadlineMs }))
          return putBack(connection)
        internals.remove(connection, true)
        tellClosed('silent', 1)
      }),
    async closeIdle() {
      const { idle } = internals.counts()
      if (idle === 0) return
      tellClosed('shutdown', idle)
      const end = async () => internals.end(await internals.ask(askerNow()).connection)
      await Promise.allSettled(Array.from({ length: idle }, end))
    },
    close: () => internals.close(),
  }
}
