import mysql, { type PoolConnection, type PoolOptions } from 'mysql2'
import type { Access } from '../../access/access.ts'
import type { IamMysqlPool } from '../../options/mysql2-options.ts'
import type { Settings } from '../../options/settings.ts'
import type { Dialling } from '../../retries/open.ts'
import type { Asker } from '../../retries/retry.ts'
import { elapsedMs } from '../../time/elapsed.ts'
import { type AttemptToken, createAttemptToken } from '../../token/attempt-token.ts'
import type { Callers } from '../callers.ts'
import type { CreatePool, OpenPool } from '../driver.ts'
import { type Asked, createPoolRequests, type Serve } from '../pool-requests.ts'
import { connectionOptions, reasonOf } from './connection.ts'
import {
  countsOf,
  destroy,
  endRunning,
  type GetCallback,
  interceptPool,
  isClosed,
  isEnding,
  isInPool,
  isRunning,
  poolIsClosed,
  removeFromPool,
  setConnectTimeout,
  unrefTimer,
} from './internals.ts'
import { createSession, sessionOf } from './session.ts'

/** Serves a request by the callback that mysql2 knows it by. */
function serveBy(callback: GetCallback): Serve<PoolConnection> {
  return (error, connection) => callback(error ?? null, connection as PoolConnection)
}

/** A physical connection on its way, and the token that it is let in or refused with. */
interface Opening {
  readonly startedMs: number
  readonly token: AttemptToken
}

/**
 * A pool of `mysql2/promise` whose every new connection authenticates with a valid token, over verified TLS.
 */
export function createMysqlPoolOpener(
  access: Access,
  settings: Settings,
  callers?: Callers,
): CreatePool<IamMysqlPool> {
  return askerNow => openPool(access, settings, askerNow, callers)
}

function openPool(
  access: Access,
  settings: Settings,
  askerNow: () => Asker,
  callers: Callers | undefined,
): OpenPool<IamMysqlPool> {
  // By mysql2's configuration of the connection, of which each has its own.
  const openings = new WeakMap<object, Opening>()
  // By the error that an attempt to connect failed with.
  const tokens = new WeakMap<object, AttemptToken>()
  // Connections that are being opened, and until when, in milliseconds since the epoch.
  const opening = new Map<PoolConnection, { readonly deadlineMs: number; fail(error: Error): void }>()
  // While mysql2 is asked, which opens a connection at once or not at all.
  let asking: Asker | undefined
  const options: PoolOptions = connectionOptions(settings, {
    tls: access.trust.tls,
    timeoutMs: settings.connectTimeoutMs,
    onDial(config) {
      if (asking !== undefined) setConnectTimeout(config, asking.deadlineMs - Date.now())
      const token = createAttemptToken(access.tokens)
      openings.set(config, { startedMs: performance.now(), token })
      token.prepare()
    },
    async tokenFor(connection) {
      const token = openings.get(connection.config)?.token
      // A handler that changes the user authenticates again, long after.
      if (token === undefined || connection.state === 'authenticated')
        return (await access.tokens.get()).token
      return token.take()
    },
  })
  const pool = mysql.createPool({ ...settings.client, ...options, connectionLimit: settings.max })
  unrefTimer(pool)
  const end = pool.end.bind(pool)
  // Who waits for the end has the connections keep the process alive until then.
  pool.end = callback => {
    requests.refIdle()
    end(callback)
  }

  const hooks = interceptPool(pool, {
    acquire: callback => requests.acquire(serveBy(callback)),
    acquireAgain: callback => requests.acquireAgain(serveBy(callback)),
    release(connection, makeRoom) {
      if (isInPool(connection)) return requests.release(connection)
      requests.forget(connection)
      makeRoom()
    },
    timeOut: connection => requests.release(connection),
  })

  const ask = (asker: Asker, isBeside = false): Asked<PoolConnection> => {
    let opened: PoolConnection | undefined
    let fail = (_error: Error): void => {}
    const mayWait = countsOf(pool).idle === 0
    asking = asker
    const connection = new Promise<PoolConnection>((resolve, reject) => {
      fail = reject
      opened = hooks.get((error, connection) => {
        if (opened !== undefined) opening.delete(opened)
        if (!error) return resolve(connection)
        const reason = reasonOf(error)
        const token = opened && openings.get(opened.config)?.token
        if (token !== undefined) tokens.set(reason, token)
        if (opened !== undefined) destroy(opened)
        reject(reason)
      }, isBeside)
    })
    asking = undefined
    // mysql2 listens once, and a connection can fail twice.
    opened?.on('error', () => {})
    if (opened !== undefined) opening.set(opened, { deadlineMs: asker.deadlineMs, fail })
    return { connection, isWaiting: mayWait && opened === undefined, dialling: opened && dialling(opened) }
  }

  const dialling = (connection: PoolConnection): Dialling => ({
    isSilent: () => opening.has(connection) && !openings.get(connection.config)?.token.isAwaited(),
    giveUp: () => giveUp(connection, 'the connection was given up'),
  })

  const giveUp = (connection: PoolConnection, reason: string): void => {
    const { fail } = opening.get(connection) ?? {}
    if (fail === undefined) return
    opening.delete(connection)
    destroy(connection)
    // mysql2 tells nobody of a connection that is destroyed.
    fail(new Error(reason))
  }

  const requests = createPoolRequests<PoolConnection>({
    access,
    settings,
    callers,
    askerNow,
    internals: {
      ask,
      tokenOf: error => tokens.get(error as object),
      sessionOf,
      isEnding,
      discardOpening(nowMs) {
        for (const [connection, { deadlineMs }] of opening)
          if (deadlineMs <= nowMs) giveUp(connection, 'the connection was not opened in time')
      },
      putBack: connection => hooks.putBack(connection),
      remove(connection, isAbandoned) {
        if (isAbandoned || !isRunning(connection)) destroy(connection)
        else endRunning(connection, new Error('the pool was closed'))
      },
      end(connection) {
        removeFromPool(connection)
        return sessionOf(connection).close()
      },
      counts: () => countsOf(pool),
      isOpen: () => !isClosed(pool),
      isUsers: error => error instanceof Error && error.message === poolIsClosed,
      close: () => isClosed(pool) || pool.end(() => {}),
    },
  })

  pool.on('connection', connection => {
    createSession(connection, settings, callers)
    const { startedMs = 0, token } = openings.get(connection.config) ?? {}
    const durationMs = elapsedMs(startedMs)
    access.emit({ event: 'connection:opened', durationMs, tokenReused: token?.isReused() ?? false })
    // A connection can fail twice, and leaves its pool at the first time, before later listeners hear of it.
    connection.prependOnceListener('error', () => {
      const reason = requests.isAcquired(connection) ? 'ended' : 'lost'
      access.emit({ event: 'connection:closed', reason, connections: 1 })
    })
  })
  const promised = pool.promise()
  const close = () => requests.close()
  return { ...requests, pool: Object.assign(promised, { close, [Symbol.asyncDispose]: close }) }
}
