import type { Pool, PoolClient } from 'pg'
import { diagnose } from '../diagnosis.ts'
import { attemptOf, type Settings } from '../settings.ts'
import { type LentToken, lendOnce, type TokenCache } from '../token/cache.ts'
import type { VerifiedTls } from '../trust/verified-tls.ts'
import { IamPgClient, isBusy, isInTransaction, isUsable, resetSql } from './iam-pg-client.ts'

type ConnectCallback = Parameters<Pool['connect']>[0]

/** Opens a `pg.Pool` whose every new connection authenticates with a valid token, over verified TLS. */
export async function openPgPool(settings: Settings, tls: VerifiedTls, tokens: TokenCache): Promise<Pool> {
  const { client: options, connectTimeoutMs, host, logger, max, resetSession } = settings
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
      const finish: ConnectCallback = (error, client, done) =>
        callback(error && diagnose(error, attemptOf(settings)), client, done)
      super.connect((error, client, done) => {
        // The token had been signed earlier; another one has a chance.
        if (error !== undefined && replaceable.has(error)) super.connect(finish)
        else finish(error, client, done)
      })
      return undefined
    }
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
  // pg-pool decides after this event whether the client can be lent again: what is queued here runs before the next borrower's.
  pool.on('release', (error, client) => {
    if (error || !isUsable(client)) return
    if (isBusy(client)) {
      logger?.warn('The handler left a query running; the connection is closed', { host })
      void client.end()
    } else if (isInTransaction(client)) {
      logger?.warn('The handler left a transaction open; it is rolled back', { host })
      queue(client, resetSession ? `ROLLBACK; ${resetSql}` : 'ROLLBACK')
    } else if (resetSession) {
      queue(client, resetSql)
    }
  })
  return pool
}

function queue(client: PoolClient, sql: string): void {
  client.query(sql).catch(() => client.end())
}
