import mysql, { type Pool, type PoolConnection, type PoolOptions } from 'mysql2'
import { withDeadline } from '../deadline.ts'
import { diagnose } from '../diagnosis.ts'
import type { RdsIamError } from '../errors.ts'
import { attemptOf, type Settings } from '../settings.ts'
import { type LentToken, lendOnce, type TokenCache } from '../token/cache.ts'
import type { VerifiedTls } from '../trust/verified-tls.ts'
import {
  adopt,
  destroy,
  isBusy,
  isEnding,
  isUsable,
  ping,
  reasonOf,
  reset,
  rollback,
} from './iam-mysql2-connection.ts'
import { connectionOptions } from './iam-mysql2-options.ts'
import { isInTransaction } from './iam-mysql2-transaction.ts'
import { isClean, noteRestoring, restoreSession, sessionsOf } from './session.ts'

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

/** A physical connection on its way, and the token that it was let in or refused with. */
interface Opening {
  readonly lending: () => Promise<LentToken>
  used?: LentToken
}

/** Opens a pool whose every new connection authenticates with a valid token, over verified TLS. */
export function openMysqlPool(settings: Settings, tls: VerifiedTls, tokens: TokenCache): Pool {
  const { client, connectTimeoutMs, host, logger, max, user } = settings
  // By mysql2's configuration of the connection, of which each has its own.
  const openings = new WeakMap<object, Opening>()
  const options: PoolOptions = connectionOptions(settings, {
    tls,
    timeoutMs: connectTimeoutMs,
    onDial(config) {
      const opening = { lending: lendOnce(tokens) }
      openings.set(config, opening)
      // The socket is on its way: sign meanwhile. Whoever waits for the token hears of a failure.
      opening.lending().catch(() => {})
    },
    async token(connection) {
      const opening = openings.get(connection.config)
      // A handler that changes the user authenticates again, long after.
      if (opening === undefined || connection.state === 'authenticated') return (await tokens.get()).token
      opening.used = await opening.lending()
      return opening.used.token
    },
  })
  const pool = mysql.createPool({ ...client, ...options, connectionLimit: max })
  const internals = internalsOf(pool)
  const { lent } = sessionsOf<PoolConnection>(pool)
  const getConnection = internals.getConnection.bind(pool)
  const releaseConnection = internals.releaseConnection.bind(pool)

  const isReplaceable = (failure: RdsIamError, opened: PoolConnection | undefined): boolean => {
    const used = opened && openings.get(opened.config)?.used
    return failure.code === 'RDS_IAM_ACCESS_DENIED' && used !== undefined && tokens.refuse(used)
  }

  const lend = (callback: Callback, isSecond = false): void => {
    const { _allConnections: all, _freeConnections: free } = internals
    // mysql2 lends what is idle as it is.
    for (const connection of listOf(free)) if (!isUsable(connection)) destroy(connection)
    const before = all.length
    const waits = free.length === 0
    let opened: PoolConnection | undefined
    let isLate = false
    let isOver = false
    let timer: NodeJS.Timeout | undefined
    getConnection((error, connection) => {
      isOver = true
      clearTimeout(timer)
      if (isLate) {
        connection?.release()
      } else if (!error || internals._closed) {
        if (connection !== undefined) lent.add(connection)
        callback(error, connection)
      } else {
        const failure = diagnose(reasonOf(error), attemptOf(settings))
        if (opened !== undefined) destroy(opened)
        // The token had been signed earlier; another one has a chance.
        if (!isSecond && isReplaceable(failure, opened)) lend(callback, true)
        else callback(failure, connection)
      }
    })
    if (all.length > before) {
      opened = all.get(before)
      // mysql2 listens once, and a connection can fail twice.
      opened?.on('error', () => {})
    } else if (waits && !isOver) {
      // mysql2 would wait for ever for one that the handler never releases.
      timer = setTimeout(() => {
        isLate = true
        const inUse = new Error(`all connections are in use (max is ${max})`)
        callback(diagnose(inUse, attemptOf(settings)), undefined as unknown as PoolConnection)
      }, connectTimeoutMs)
    }
  }

  const takeBack = (connection: PoolConnection): void => {
    // The handler may have changed the user, whom nothing but a new connection brings back.
    if (!isUsable(connection) || connection.config.user !== user) {
      destroy(connection)
    } else if (isBusy(connection)) {
      logger?.warn('The handler left a query running; the connection is closed', { host })
      destroy(connection)
    } else if (isClean(session, connection, settings)) {
      releaseConnection(connection)
    } else {
      const restoration = restoreSession(session, connection, settings).then(
        () => releaseConnection(connection),
        () => destroy(connection),
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
    connection.on('error', () => logger?.debug('Database connection closed', { host, reason: 'it was lost' }))
  })
  internals.getConnection = callback => lend(callback)
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

/** How many connections a pool holds or is opening, how many are taken, and are with the handler; and whether the pool has ended. */
export function countsOf(pool: Pool): { all: number; inUse: number; lent: number; isClosed: boolean } {
  const { _allConnections, _freeConnections, _closed } = internalsOf(pool)
  return {
    all: _allConnections.length,
    inUse: _allConnections.length - _freeConnections.length,
    lent: sessionsOf(pool).lent.size,
    isClosed: _closed,
  }
}

/** Closes the connections that the handler holds, and says how many they were. */
export function closeLent(pool: Pool): number {
  const { lent } = sessionsOf<PoolConnection>(pool)
  const count = lent.size
  for (const connection of lent) destroy(connection)
  lent.clear()
  return count
}

/** Opens one connection and leaves it in the pool. */
export async function warm(pool: Pool): Promise<void> {
  giveBackUnlent(await take(pool))
}

/** Asks every idle connection for a sign of life, and closes those that give none in time. */
export async function pingIdle(pool: Pool, timeoutMs: number): Promise<void> {
  const idle = listOf(internalsOf(pool)._freeConnections).filter(isUsable)
  const connections = await Promise.all(idle.map(() => take(pool)))
  const pings = connections.map(async connection => {
    try {
      await withDeadline(ping(connection), timeoutMs, () => new Error('no answer'))
      giveBackUnlent(connection)
    } catch {
      destroy(connection)
    }
  })
  await Promise.all(pings)
}

/** Connections that only this package has had: their sessions are as they were. */
const unlent = new WeakSet<PoolConnection>()

function giveBackUnlent(connection: PoolConnection): void {
  unlent.add(connection)
  connection.release()
}

function take(pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) =>
    pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection))),
  )
}

function listOf(queue: Queue): PoolConnection[] {
  return Array.from({ length: queue.length }, (_, index) => queue.get(index) as PoolConnection)
}

function internalsOf(pool: Pool): Internals {
  return pool as unknown as Internals
}

/** A connection that left its pool knows none. */
function internalsOfConnection(connection: PoolConnection): { readonly _pool: unknown } {
  return connection as unknown as { readonly _pool: unknown }
}
