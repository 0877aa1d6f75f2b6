import type { Pool, PoolClient, Submittable } from 'pg'
import { diagnose } from '../diagnosis.ts'
import { attemptOf, type Settings } from '../settings.ts'
import { type LentToken, lendOnce, type TokenCache } from '../token/cache.ts'
import type { VerifiedTls } from '../trust/verified-tls.ts'
import { abandon, IamPgClient, isUsable, pgSession } from './iam-pg-client.ts'
import { isClean, noteRestoring, restoreSession, sessionsOf } from './session.ts'

type ConnectCallback = Parameters<Pool['connect']>[0]

/** Opens a `pg.Pool` whose every new connection authenticates with a valid token, over verified TLS. */
export async function openPgPool(settings: Settings, tls: VerifiedTls, tokens: TokenCache): Promise<Pool> {
  const { client: options, connectTimeoutMs, host, logger, max } = settings
  // pg-pool comes with pg's entry, which a function with a single client never needs to load.
  const { default: pg } = await import('pg')
  const replaceable = new WeakSet<Error>()

  class TokenClient extends IamPgClient {
    readonly #lending: () => Promise<LentToken>

    constructor() {
      const lending = lendOnce(tokens)
      super(settings, { tls, timeoutMs: connectTimeoutMs, token: async () => (await lending()).token })
      this.#lending = lending
    }

    override connect(): Promise<IamPgClient>
    override connect(callback: Parameters<IamPgClient['connect']>[0]): void
    override connect(callback?: Parameters<IamPgClient['connect']>[0]): Promise<IamPgClient> | undefined {
      if (callback === undefined) return super.connect() as Promise<IamPgClient>
      super.connect((error: Error) => this.#finish(error, callback as (error: Error) => void))
      // The socket is on its way: sign meanwhile. Whoever waits for the token hears of a failure.
      this.#lending().catch(() => {})
      return undefined
    }

    async #finish(error: Error, callback: (error: Error) => void): Promise<void> {
      if (!error) return callback(error)
      const failure = diagnose(error, attemptOf(settings))
      if (failure.code === 'RDS_IAM_ACCESS_DENIED') {
        const lent = await this.#lending().catch(() => undefined)
        if (lent !== undefined && tokens.refuse(lent)) replaceable.add(failure)
      }
      callback(failure)
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
      const finish: ConnectCallback = (error, client, done) => {
        if (client === undefined) return callback(error && diagnose(error, attemptOf(settings)), client, done)
        lendClient(this, client, settings)
        callback(undefined, client, client.release)
      }
      super.connect((error, client, done) => {
        // The token had been signed earlier; another one has a chance.
        if (error !== undefined && replaceable.has(error)) super.connect(finish)
        else finish(error, client, done)
      })
      return undefined
    }

    // pg-pool closes the connection of every query that fails, a violated constraint included; with IAM, each costs a handshake and a
    // share of the rate limit.
    override query = ((...given: Parameters<Pool['query']>) => {
      const takesCallback = given.some(argument => typeof argument === 'function')
      if (takesCallback || typeof (given[0] as Partial<Submittable>)?.submit === 'function')
        return super.query(...given)
      return this.connect().then(client =>
        (client.query(...given) as unknown as Promise<unknown>).finally(() => client.release()),
      )
    }) as Pool['query']
  }

  const pool = new IamPgPool({
    // An idle connection costs nothing in a frozen process; to open it again costs a handshake and a share of RDS's rate limit.
    idleTimeoutMillis: 0,
    ...options,
    max,
    connectionTimeoutMillis: connectTimeoutMs,
    Client: TokenClient as unknown as new () => PoolClient,
  })
  pool.on('error', () =>
    logger?.debug('Database connection closed', { host, reason: 'it was lost while idle' }),
  )
  return pool
}

/** Has a client put its session in order when it is released, before pg-pool can lend it again. */
function lendClient(pool: Pool, client: PoolClient, settings: Settings): void {
  const { lent } = sessionsOf<PoolClient>(pool)
  // pg-pool makes a new one each time it lends; a second call is its own error.
  const release = client.release
  let isReleased = false
  lent.add(client)
  client.release = error => {
    lent.delete(client)
    if (isReleased) throw new Error('Release called on client which has already been released to the pool.')
    if (error || !isUsable(client)) return release(error)
    if (pgSession.isBusy(client)) {
      settings.logger?.warn('The handler left a query running; the connection is closed', {
        host: settings.host,
      })
      abandon(client)
      return release(true)
    }
    if (isClean(pgSession, client, settings)) return release()
    isReleased = true
    const restoration = restoreSession(pgSession, client, settings).then(
      () => release(),
      error => release(error),
    )
    noteRestoring(pool, restoration)
  }
}

/** Closes the clients that the handler holds, and says how many they were. */
export function closeLent(pool: Pool): number {
  const lent = [...sessionsOf<PoolClient>(pool).lent]
  for (const client of lent) {
    abandon(client)
    client.release(true)
  }
  return lent.length
}
