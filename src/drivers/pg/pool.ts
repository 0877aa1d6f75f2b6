import type { Pool, PoolClient, Submittable } from 'pg'
import type { Access } from '../../access/access.ts'
import type { Settings } from '../../options/settings.ts'
import type { Asker } from '../../retries/retry.ts'
import { elapsedMs } from '../../time/elapsed.ts'
import { type AttemptToken, createAttemptToken } from '../../token/attempt-token.ts'
import type { VerifiedTls } from '../../trust/verified-tls.ts'
import type { OpenPool } from '../driver.ts'
import { createPoolRequests } from '../pool-requests.ts'
import { IamPgClient } from './client.ts'
import { sessionOf } from './session.ts'

/** What a pool is made of. */
export interface PgPoolParts {
  readonly access: Access
  readonly settings: Settings
  readonly tls: VerifiedTls
  /** On whose behalf the handler asks now. */
  readonly askerNow: () => Asker
}

const releasedTwice = 'Release called on client which has already been released to the pool.'

type ConnectCallback = Parameters<Pool['connect']>[0]

/** Opens a `pg.Pool` whose every new connection authenticates with a valid token, over verified TLS. */
export async function createPgPool(parts: PgPoolParts): Promise<OpenPool<Pool>> {
  const { access, settings, tls, askerNow } = parts
  const { client: options, max } = settings
  // pg-pool comes with pg's entry, which a function with a single client never needs to load.
  const { default: pg } = await import('pg')
  // By the error that an attempt to connect failed with.
  const tokens = new WeakMap<object, AttemptToken>()
  // What the user ended a client for.
  const reasons = new WeakMap<PoolClient, Error | boolean>()
  // pg-pool makes a new `release` each time that it gives a client.
  const releases = new WeakMap<PoolClient, PoolClient['release']>()
  // While pg-pool is asked; on whose behalf it opens a connection later, it does not tell.
  let asking: Asker | undefined
  let hasOpened = false
  const leftMs = () => Math.max(1, (asking ?? askerNow()).deadlineMs - Date.now())

  class TokenClient extends IamPgClient {
    readonly #token: AttemptToken

    constructor() {
      const token = createAttemptToken(access.tokens)
      super(settings, { tls, timeoutMs: leftMs(), token: token.take })
      this.#token = token
      hasOpened = true
    }

    override connect(): Promise<IamPgClient>
    override connect(callback: Parameters<IamPgClient['connect']>[0]): void
    override connect(callback?: Parameters<IamPgClient['connect']>[0]): Promise<IamPgClient> | undefined {
      if (callback === undefined) return super.connect() as Promise<IamPgClient>
      const startedMs = performance.now()
      super.connect((error: Error) => {
        if (error) {
          tokens.set(error, this.#token)
        } else {
          const durationMs = elapsedMs(startedMs)
          access.emit({ event: 'connection:opened', durationMs, tokenReused: this.#token.isReused() })
        }
        ;(callback as (error: Error) => void)(error)
      })
      this.#token.prepare()
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
      requests.acquire((error, client) => {
        if (client === undefined) return callback(error, undefined, () => {})
        let isReleased = false
        client.release = error => {
          // In pg-pool's own words, which would let an unrestored session through.
          if (isReleased || !requests.isAcquired(client)) throw new Error(releasedTwice)
          isReleased = true
          if (error) reasons.set(client, error)
          requests.release(client, error ? 'ended' : undefined)
        }
        callback(undefined, client, client.release)
      })
      return undefined
    }

    /** Asks pg-pool, once. */
    ask(asker: Asker) {
      const mayWait = this.idleCount <= this.waitingCount
      asking = asker
      hasOpened = false
      const connection = new Promise<PoolClient>((resolve, reject) =>
        super.connect((error, client) => {
          if (client === undefined) return reject(error)
          releases.set(client, client.release)
          resolve(client)
        }),
      )
      asking = undefined
      return { connection, isWaiting: mayWait && !hasOpened }
    }

    // pg-pool closes the connection of every query that fails, a violated constraint included; with IAM, each
    // costs a handshake and a share of the rate limit.
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
    // An idle connection costs nothing in a frozen process; to open it again costs a handshake and a share of
    // RDS's rate limit.
    idleTimeoutMillis: 0,
    ...options,
    max,
    Client: TokenClient as unknown as new () => PoolClient,
  })
  // pg-pool reads it each time that it begins to wait, for a new connection or for one that is in use.
  Object.defineProperty(pool.options, 'connectionTimeoutMillis', { get: leftMs, enumerable: true })
  // Of a connection that nobody uses.
  pool.on('error', () => access.emit({ event: 'connection:closed', reason: 'lost', connections: 1 }))

  const rawRelease = (client: PoolClient, reason?: Error | boolean): void => releases.get(client)?.(reason)

  const requests = createPoolRequests<PoolClient>({
    access,
    settings,
    askerNow,
    internals: {
      ask: asker => pool.ask(asker),
      tokenOf: error => tokens.get(error as object) ?? tokens.get((error as Error).cause as object),
      sessionOf,
      isEnding: () => false,
      putBack: client => rawRelease(client),
      remove(client, isAbandoned) {
        const session = sessionOf(client)
        if (isAbandoned && (!session.isUsable() || session.isBusy())) void session.close()
        rawRelease(client, reasons.get(client) ?? true)
      },
      end(client) {
        const ended = new Promise<void>(resolve => client.once('end', resolve))
        rawRelease(client, true)
        return ended
      },
      counts: () => ({ all: pool.totalCount, idle: pool.idleCount }),
      isOpen: () => !pool.ending,
      isEnd: () => false,
      close: () => void pool.end().catch(() => {}),
    },
  })
  return { ...requests, pool }
}
