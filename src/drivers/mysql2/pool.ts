import mysql, { type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import { diagnose } from '../../errors/explain.ts'
import { elapsedMs, report } from '../../events/emit.ts'
import type { ConnectionClosedReason } from '../../events/events.ts'
import { attemptOf, type Settings } from '../../options/settings.ts'
import { type Asker, createRetry } from '../../retries/retry.ts'
import { withinAnswerTime } from '../../time/deadline.ts'
import { lendToken, type TokenLending } from '../../token/attempt-token.ts'
import type { TokenCache } from '../../token/cache.ts'
import type { VerifiedTls } from '../../trust/verified-tls.ts'
import { forgetWaiting, isClean, noteRestoring, restoreSession, sessionsOf } from '../session.ts'
import {
  adopt,
  close,
  destroy,
  isBusy,
  isEnding,
  isUsable,
  ping,
  reasonOf,
  reset,
  rollback,
} from './connection.ts'
import { connectionOptions } from './connection-options.ts'
import { isInTransaction } from './transaction.ts'

type Callback = Parameters<Pool['getConnection']>[0]

interface Queue {
  readonly length: number
  get(index: number): PoolConnection | undefined
}

/** What mysql2 keeps to itself but its state cannot be known without. Tests hold these names against the installed version. */
interface Internals {
  getConnection(callback: Callback): void
  releaseConnection(connection: PoolConnection): void
  readonly _allConnections: Queue
  readonly _freeConnections: Queue
  readonly _closed: boolean
}

interface ConnectionInternals {
  /** A connection that left its pool knows none. */
  readonly _pool: unknown
  _removeFromPool(): void
}

/** A physical connection on its way, and the token that it is let in or refused with. */
interface Opening {
  readonly startedMs: number
  readonly lending: TokenLending
}

/** Takes a connection on behalf of somebody, by pool. */
const takers = new WeakMap<Pool, (asker: Asker, callback: Callback) => void>()

/**
 * Opens a pool whose every new connection authenticates with a valid token, over verified TLS.
 *
 * @param askerNow On whose behalf the handler asks now.
 */
export function openMysqlPool(
  settings: Settings,
  tls: VerifiedTls,
  tokens: TokenCache,
  askerNow: () => Asker,
): Pool {
  const { client, connectTimeoutMs, max, user } = settings
  // By mysql2's configuration of the connection, of which each has its own.
  const openings = new WeakMap<object, Opening>()
  // While mysql2 is asked, which opens a connection at once or not at all.
  let asking: Asker | undefined
  const options: PoolOptions = connectionOptions(settings, {
    tls,
    timeoutMs: connectTimeoutMs,
    onDial(config) {
      if (asking !== undefined)
        (config as { connectTimeout: number }).connectTimeout = Math.max(1, asking.deadlineMs - Date.now())
      const lending = lendToken(tokens)
      openings.set(config, { startedMs: performance.now(), lending })
      lending.prepare()
    },
    async token(connection) {
      const lending = openings.get(connection.config)?.lending
      // A handler that changes the user authenticates again, long after.
      if (lending === undefined || connection.state === 'authenticated') return (await tokens.get()).token
      return lending.take()
    },
  })
  const pool = mysql.createPool({ ...client, ...options, connectionLimit: max })
  const internals = internalsOf(pool)
  const { lent, waiting } = sessionsOf<PoolConnection>(pool)
  const getConnection = internals.getConnection.bind(pool)
  const releaseConnection = internals.releaseConnection.bind(pool)

  const discard = (connection: PoolConnection, reason: ConnectionClosedReason): void => {
    destroy(connection)
    report(settings, { event: 'connection:closed', reason, connections: 1 })
  }

  /**
   * Lends a connection, or opens one.
   *
   * @param isWanted Whether somebody still waits for it.
   */
  const take = (asker: Asker, callback: Callback, isWanted = () => true): void => {
    const { _allConnections: all, _freeConnections: free } = internals
    const retry = createRetry(settings, asker)
    const fail = (failure: NodeJS.ErrnoException): void =>
      callback(failure, undefined as unknown as PoolConnection)
    const open = (): void => {
      // mysql2 lends what is idle as it is.
      for (const connection of listOf(free)) if (!isUsable(connection)) discard(connection, 'lost')
      const before = all.length
      const waits = free.length === 0
      let opened: PoolConnection | undefined
      let isLate = false
      let isOver = false
      let timer: NodeJS.Timeout | undefined
      asking = asker
      getConnection((error, connection) => {
        isOver = true
        clearTimeout(timer)
        if (isLate) return connection?.release()
        if (!error || internals._closed) {
          if (connection !== undefined) lent.add(connection)
          return callback(error, connection)
        }
        const lending = opened && openings.get(opened.config)?.lending
        if (opened !== undefined) destroy(opened)
        // What is not about one attempt to connect is about the pool.
        if (lending === undefined) return fail(diagnose(reasonOf(error), attemptOf(settings, asker.account)))
        retry(reasonOf(error), lending).then(() => {
          if (isWanted()) open()
        }, fail)
      })
      asking = undefined
      if (all.length > before) {
        opened = all.get(before)
        // mysql2 listens once, and a connection can fail twice.
        opened?.on('error', () => {})
      } else if (waits && !isOver) {
        // mysql2 would wait for ever for one that the handler never releases.
        timer = setTimeout(
          () => {
            isLate = true
            const inUse = new Error(`all connections are in use (max is ${max})`)
            fail(diagnose(inUse, attemptOf(settings, asker.account)))
          },
          Math.max(0, asker.deadlineMs - Date.now()),
        )
      }
    }
    open()
  }

  /** Lends the handler a connection, unless by then it is over. */
  const lend = (callback: Callback): void => {
    const request = {}
    waiting.add(request)
    const serve: Callback = (error, connection) => {
      if (waiting.delete(request)) callback(error, connection)
      else connection?.release()
    }
    take(askerNow(), serve, () => waiting.has(request))
  }

  const takeBack = (connection: PoolConnection): void => {
    // The handler may have changed the user, whom nothing but a new connection brings back.
    if (!isUsable(connection) || connection.config.user !== user) {
      discard(connection, 'ended')
    } else if (isBusy(connection)) {
      discard(connection, 'query-running')
    } else if (isClean(session, connection, settings)) {
      releaseConnection(connection)
    } else {
      const restoration = restoreSession(session, connection, settings).then(
        () => releaseConnection(connection),
        () => discard(connection, 'not-restored'),
      )
      noteRestoring(pool, restoration)
    }
  }

  const session = {
    isInTransaction,
    whenReady: () => undefined,
    ping,
    rollback,
    reset: (connection: PoolConnection) => reset(connection, settings),
  }

  pool.on('connection', connection => {
    adopt(connection)
    const { startedMs = 0, lending } = openings.get(connection.config) ?? {}
    const durationMs = elapsedMs(startedMs)
    report(settings, { event: 'connection:opened', durationMs, tokenReused: lending?.isReused() ?? false })
    // A connection can fail twice, and leaves its pool at the first time, before whoever listens later.
    connection.prependOnceListener('error', () => {
      const reason = lent.has(connection) ? 'ended' : 'lost'
      report(settings, { event: 'connection:closed', reason, connections: 1 })
    })
  })
  internals.getConnection = lend
  takers.set(pool, take)
  internals.releaseConnection = connection => {
    lent.delete(connection)
    // One that ended or was destroyed is given back too, to make room; and one that no handler has had.
    if (!internalsOfConnection(connection)._pool || unlent.delete(connection)) releaseConnection(connection)
    // A query of the pool's own is given back by its last message, before mysql2 has done with it.
    else if (isEnding(connection)) process.nextTick(takeBack, connection)
    else takeBack(connection)
  }
  return pool
}

/** How many connections a pool holds or is opening, and how many are taken; and whether it has ended. */
export function countsOf(pool: Pool): { all: number; inUse: number; isClosed: boolean } {
  const { _allConnections, _freeConnections, _closed } = internalsOf(pool)
  const all = _allConnections.length
  return { all, inUse: all - _freeConnections.length, isClosed: _closed }
}

/** Closes the connections that the handler holds, forgets those that it waits for, and says how many they were. */
export function closeLent(pool: Pool): { closed: number; forgotten: number } {
  const { lent } = sessionsOf<PoolConnection>(pool)
  const counts = { closed: lent.size, forgotten: forgetWaiting(pool) }
  for (const connection of lent) destroy(connection)
  lent.clear()
  return counts
}

/** Opens one connection and leaves it in the pool. */
export async function warm(pool: Pool, asker: Asker): Promise<void> {
  giveBackUnlent(await takeConnection(pool, asker))
}

/** Asks every idle connection for a sign of life, and closes those that give none in half of the time. */
export async function pingIdle(
  pool: Pool,
  settings: Settings,
  asker: Asker,
  silenceMs: number,
): Promise<void> {
  const idle = listOf(internalsOf(pool)._freeConnections).filter(isUsable)
  const connections = await Promise.all(idle.map(() => takeConnection(pool, asker)))
  const pings = connections.map(async connection => {
    const startedMs = performance.now()
    try {
      await withinAnswerTime(ping(connection), (asker.deadlineMs - Date.now()) / 2)
      report(settings, { event: 'connection:reused', silenceMs, durationMs: elapsedMs(startedMs) })
      giveBackUnlent(connection)
    } catch {
      report(settings, { event: 'connection:closed', reason: 'silent', connections: 1 })
      destroy(connection)
    }
  })
  await Promise.all(pings)
}

/** Ends every idle connection politely. */
export async function closeIdle(pool: Pool, settings: Settings): Promise<void> {
  const idle = listOf(internalsOf(pool)._freeConnections)
  if (idle.length === 0) return
  report(settings, { event: 'connection:closed', reason: 'shutdown', connections: idle.length })
  await Promise.all(
    idle.map(connection => {
      internalsOfConnection(connection)._removeFromPool()
      return close(connection)
    }),
  )
}

/** Connections that only this package has had: their sessions are as they were. */
const unlent = new WeakSet<PoolConnection>()

function giveBackUnlent(connection: PoolConnection): void {
  unlent.add(connection)
  connection.release()
}

function takeConnection(pool: Pool, asker: Asker): Promise<PoolConnection> {
  return new Promise((resolve, reject) =>
    takers.get(pool)?.(asker, (error, connection) => (error ? reject(error) : resolve(connection))),
  )
}

function listOf(queue: Queue): PoolConnection[] {
  return Array.from({ length: queue.length }, (_, index) => queue.get(index) as PoolConnection)
}

function internalsOf(pool: Pool): Internals {
  return pool as unknown as Internals
}

function internalsOfConnection(connection: PoolConnection): ConnectionInternals {
  return connection as unknown as ConnectionInternals
}
