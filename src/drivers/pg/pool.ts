import type { Pool, PoolClient, Submittable } from 'pg'
import { diagnose } from '../../errors/explain.ts'
import { elapsedMs, report } from '../../events/emit.ts'
import type { ConnectionClosedReason } from '../../events/events.ts'
import { attemptOf, type Settings } from '../../options/settings.ts'
import { type Asker, createRetry } from '../../retries/retry.ts'
import { lendToken, type TokenLending } from '../../token/attempt-token.ts'
import type { TokenCache } from '../../token/cache.ts'
import type { VerifiedTls } from '../../trust/verified-tls.ts'
import { forgetWaiting, isClean, noteRestoring, restoreSession, sessionsOf } from '../session.ts'
import { abandon, IamPgClient, isUsable, pgSession } from './client.ts'

type ConnectCallback = Parameters<Pool['connect']>[0]

/** Takes a client on behalf of somebody, by pool. */
const takers = new WeakMap<Pool, (asker: Asker, callback: ConnectCallback) => void>()

/**
 * Opens a `pg.Pool` whose every new connection authenticates with a valid token, over verified TLS.
 *
 * @param askerNow On whose behalf the handler asks now.
 */
export async function openPgPool(
  settings: Settings,
  tls: VerifiedTls,
  tokens: TokenCache,
  askerNow: () => Asker,
): Promise<Pool> {
  const { client: options, max } = settings
  // pg-pool comes with pg's entry, which a function with a single client never needs to load.
  const { default: pg } = await import('pg')
  // By the error that an attempt to connect failed with.
  const lendings = new WeakMap<object, TokenLending>()
  // While pg-pool is asked; whom it opens a connection for later, it does not tell.
  let asking: Asker | undefined
  const leftMs = () => Math.max(1, (asking ?? askerNow()).deadlineMs - Date.now())

  class TokenClient extends IamPgClient {
    readonly #lending: TokenLending

    constructor() {
      const lending = lendToken(tokens)
      super(settings, { tls, timeoutMs: leftMs(), token: lending.take })
      this.#lending = lending
    }

    override connect(): Promise<IamPgClient>
    override connect(callback: Parameters<IamPgClient['connect']>[0]): void
    override connect(callback?: Parameters<IamPgClient['connect']>[0]): Promise<IamPgClient> | undefined {
      if (callback === undefined) return super.connect() as Promise<IamPgClient>
      const startedMs = performance.now()
      super.connect((error: Error) => {
        if (error) {
          lendings.set(error, this.#lending)
        } else {
          const durationMs = elapsedMs(startedMs)
          report(settings, { event: 'connection:opened', durationMs, tokenReused: this.#lending.isReused() })
        }
        ;(callback as (error: Error) => void)(error)
      })
      this.#lending.prepare()
      return undefined
    }
  }

  class IamPgPool extends pg.Pool {
    override connect(): Promise<PoolClient>
    override connect(callback: ConnectCallback): void
    override connect(callback?: ConnectCallback): Promise<PoolClient> | undefined {
      if (callback === undefined) {
        return new Promise((resolve, reject) => {
          this.connect((error, client) => (client === undefined ? reject(error) : resolve(client)))
        })
      }
      const { waiting } = sessionsOf(this)
      const request = {}
      waiting.add(request)
      const serve: ConnectCallback = (error, client, done) => {
        if (waiting.delete(request)) callback(error, client, done)
        else client?.release()
      }
      this.take(askerNow(), serve, () => waiting.has(request))
      return undefined
    }

    /** @param isWanted Whether somebody still waits for the client. */
    take(asker: Asker, callback: ConnectCallback, isWanted = () => true): void {
      const retry = createRetry(settings, asker)
      const fail = (failure: Error): void => callback(failure, undefined, () => {})
      const open = (): void => {
        asking = asker
        super.connect((error, client) => {
          // pg-pool lends what is idle as it is, and hears of an end later than its socket.
          if (client !== undefined && !isUsable(client) && Date.now() < asker.deadlineMs) {
            client.release(true)
            return open()
          }
          if (client !== undefined) {
            lendClient(this, client, settings)
            return callback(undefined, client, client.release)
          }
          const lending = lendings.get(error as Error) ?? lendings.get(error?.cause as object)
          // What is not about one attempt to connect is about the pool.
          if (lending === undefined) return fail(diagnose(error, attemptOf(settings, asker.account)))
          retry(error, lending).then(() => {
            if (isWanted()) open()
          }, fail)
        })
        asking = undefined
      }
      open()
    }

    // pg-pool closes the connection of every query that fails, a violated constraint included; with IAM, each costs a handshake and a
    // share of the rate limit.
    override query = ((...given: Parameters<Pool['query']>) => {
      const takesCallback = given.some(argument => typeof argument === 'function')
      if (takesCallback || typeof (given[0] as Partial<Submittable>)?.submit === 'function')
        return super.query(...given)
      // pg throws at once at what is no query.
      return this.connect().then(async client => {
        try {
          return await client.query(...given)
        } finally {
          client.release()
        }
      })
    }) as Pool['query']
  }

  const pool = new IamPgPool({
    // An idle connection costs nothing in a frozen process; to open it again costs a handshake and a share of RDS's rate limit.
    idleTimeoutMillis: 0,
    ...options,
    max,
    Client: TokenClient as unknown as new () => PoolClient,
  })
  // pg-pool reads it each time that it begins to wait, for a new connection or for one that is in use.
  Object.defineProperty(pool.options, 'connectionTimeoutMillis', { get: leftMs, enumerable: true })
  takers.set(pool, (asker, callback) => pool.take(asker, callback))
  // Of a connection that nobody uses.
  pool.on('error', () => report(settings, { event: 'connection:closed', reason: 'lost', connections: 1 }))
  return pool
}

/** Has a client put its session in order when it is released, before pg-pool can lend it again. */
function lendClient(pool: Pool, client: PoolClient, settings: Settings): void {
  const { lent } = sessionsOf<PoolClient>(pool)
  // pg-pool makes a new one each time it lends; a second call is its own error.
  const release = client.release
  let isReleased = false
  const note = (reason: ConnectionClosedReason) =>
    report(settings, { event: 'connection:closed', reason, connections: 1 })
  lent.add(client)
  client.release = error => {
    lent.delete(client)
    if (isReleased) throw new Error('Release called on client which has already been released to the pool.')
    if (error || !isUsable(client)) {
      if (!dismissed.has(client)) note('ended')
      return release(error ?? true)
    }
    if (pgSession.isBusy(client)) {
      note('query-running')
      abandon(client)
      return release(true)
    }
    if (unlent.delete(client) || isClean(pgSession, client, settings)) return release()
    isReleased = true
    const restoration = restoreSession(pgSession, client, settings).then(
      () => release(),
      error => {
        note('not-restored')
        release(error)
      },
    )
    noteRestoring(pool, restoration)
  }
}

/** Takes a client on behalf of somebody else than the handler. */
export function takeClient(pool: Pool, asker: Asker): Promise<PoolClient> {
  return new Promise((resolve, reject) =>
    takers.get(pool)?.(asker, (error, client) => (client === undefined ? reject(error) : resolve(client))),
  )
}

/** Clients that only this package has had: their sessions are as they were. */
const unlent = new WeakSet<PoolClient>()

/** Gives back a client that this package took, and that nobody else had. */
export function giveBackUnlent(client: PoolClient): void {
  unlent.add(client)
  client.release()
}

/** Closes the clients that the handler holds, forgets those that it waits for, and says how many they were. */
export function closeLent(pool: Pool): { closed: number; forgotten: number } {
  const forgotten = forgetWaiting(pool)
  const lent = [...sessionsOf<PoolClient>(pool).lent]
  for (const client of lent) {
    abandon(client)
    dismiss(client)
  }
  return { closed: lent.length, forgotten }
}

/** Clients that were closed for a reason that is reported already. */
const dismissed = new WeakSet<PoolClient>()

/** Closes a client that this package took from the pool, or takes from the handler. */
export function dismiss(client: PoolClient): void {
  dismissed.add(client)
  client.release(true)
}
