import pg, { type ClientBase, type Pool, type PoolClient, type Submittable } from 'pg'
import type { Access } from '../../access/access.ts'
import type { IamPgPool } from '../../options/pg-options.ts'
import type { Settings } from '../../options/settings.ts'
import type { Dialling } from '../../retries/open.ts'
import type { Asker } from '../../retries/retry.ts'
import { withDeadline, withinAnswerTime } from '../../time/deadline.ts'
import { elapsedMs } from '../../time/elapsed.ts'
import { type AttemptToken, createAttemptToken } from '../../token/attempt-token.ts'
import type { Callers } from '../callers.ts'
import type { CreatePool, OpenPool } from '../driver.ts'
import { createPoolRequests } from '../pool-requests.ts'
import { IamPgClient } from './client.ts'
import { driverOptions } from './options.ts'
import { destroy, sessionOf } from './session.ts'

const releasedTwice = 'Release called on client which has already been released to the pool.'

/** What pg-pool says to callers of a pool that its user has ended. */
const poolHasEnded = 'Cannot use a pool after calling end on the pool'

type ConnectCallback = Parameters<Pool['connect']>[0]

type QueryCallback = (error: Error, result: unknown) => void

/** Hooks of the user's that pg-pool calls with every new client. */
interface Hooks {
  onConnect?: (client: ClientBase) => Promise<void> | void
  verify?: (client: PoolClient, done: (error?: Error) => void) => void
}

/** A `pg.Pool` whose every new connection authenticates with a valid token, over verified TLS. */
export function createPgPoolOpener(
  access: Access,
  settings: Settings,
  callers?: Callers,
): CreatePool<IamPgPool> {
  return askerNow => openPool(access, settings, askerNow, callers)
}

function openPool(
  access: Access,
  settings: Settings,
  askerNow: () => Asker,
  callers: Callers | undefined,
): OpenPool<IamPgPool> {
  const { client: options, max } = settings
  // By the error that an attempt to connect failed with.
  const tokens = new WeakMap<object, AttemptToken>()
  // Errors of the user's own hooks.
  const hookErrors = new WeakSet<object>()
  // What the user ended a client for.
  const reasons = new WeakMap<PoolClient, Error | boolean>()
  // pg-pool makes a new `release` each time that it gives a client.
  const releases = new WeakMap<PoolClient, PoolClient['release']>()
  // Clients that are connecting, and until when, in milliseconds since the epoch.
  const opening = new Map<TokenClient, number>()
  // While pg-pool is asked; on whose behalf it opens a connection later, it does not tell.
  let asking: Asker | undefined
  // What pg-pool opens for that.
  let dialling: Dialling | undefined
  const leftMs = () => Math.max(1, (asking ?? askerNow()).deadlineMs - Date.now())

  class TokenClient extends IamPgClient {
    readonly #token: AttemptToken

    constructor() {
      const token = createAttemptToken(access.tokens)
      super(settings, { tls: access.trust.tls, timeoutMs: leftMs(), token: token.take }, callers)
      this.#token = token
      dialling = {
        isSilent: () => opening.has(this) && !token.isAwaited(),
        giveUp: () => opening.has(this) && destroy(this),
      }
    }

    override connect(): Promise<IamPgClient>
    override connect(callback: Parameters<IamPgClient['connect']>[0]): void
    override connect(callback?: Parameters<IamPgClient['connect']>[0]): Promise<IamPgClient> | undefined {
      if (callback === undefined) return super.connect() as Promise<IamPgClient>
      const startedMs = performance.now()
      opening.set(this, Date.now() + leftMs())
      super.connect((error: Error) => {
        opening.delete(this)
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

  class TokenPool extends pg.Pool {
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
          if (isReleased || (requests.isOpen() && !requests.isAcquired(client)))
            throw new Error(releasedTwice)
          isReleased = true
          if (error) reasons.set(client, error)
          requests.release(client, error ? 'ended' : undefined)
        }
        callback(undefined, client, client.release)
      })
      return undefined
    }

    /** Asks pg-pool, once. */
    ask(asker: Asker, isBeside = false) {
      const mayWait = this.idleCount <= this.waitingCount
      asking = asker
      dialling = undefined
      // pg-pool looks at it now, and again when something has ended.
      if (isBeside) this.options.max = Math.max(max, this.totalCount + 1)
      const connection = new Promise<PoolClient>((resolve, reject) =>
        super.connect((error, client) => {
          if (client === undefined) return reject(error)
          releases.set(client, client.release)
          resolve(client)
        }),
      )
      asking = undefined
      this.options.max = max
      return { connection, isWaiting: mayWait && dialling === undefined, dialling }
    }

    // pg-pool closes the connection of every query that fails, a violated constraint included; with IAM, each
    // costs a handshake and a share of the rate limit.
    override query = ((...given: Parameters<Pool['query']>) => {
      const [first] = given as readonly unknown[]
      if (typeof first === 'function' || typeof (first as Partial<Submittable>)?.submit === 'function')
        return super.query(...given)
      const position = given.findIndex(argument => typeof argument === 'function')
      if (position >= 0) {
        const callback = given[position] as unknown as QueryCallback
        // pg tells a callback also of what it would throw.
        this.#query(given.slice(0, position)).then(
          result => process.nextTick(callback, undefined, result),
          error => process.nextTick(callback, error, undefined),
        )
        return undefined
      }
      // pg throws at once at what is no query.
      return this.#query(given)
    }) as Pool['query']

    async #query(given: readonly unknown[]): Promise<unknown> {
      const client = await this.connect()
      try {
        const [first, ...others] = given
        // pg would call it in place of giving the result, as no pool of pg does.
        const query = typeof first === 'object' ? { ...first, callback: undefined } : first
        return await (client.query as (...given: readonly unknown[]) => unknown).call(
          client,
          query,
          ...others,
        )
      } finally {
        client.release()
      }
    }

    override end(): Promise<void>
    override end(callback: () => void): void
    override end(callback?: () => void): Promise<void> | undefined {
      requests.refIdle()
      return callback === undefined ? super.end() : void super.end(callback)
    }

    /** Ends the pool when its connections are released, or after five seconds. */
    close(): Promise<void> {
      return requests.close()
    }

    [Symbol.asyncDispose](): Promise<void> {
      return requests.close()
    }
  }

  const { onConnect, verify } = options as Hooks
  const markOwn = (error: unknown): void => {
    if (typeof error === 'object' && error !== null) hookErrors.add(error)
  }
  const hooks: Hooks = {}
  if (onConnect !== undefined) {
    hooks.onConnect = async client => {
      try {
        const late = () => new Error('`onConnect` did not end in time')
        await withDeadline(Promise.resolve(onConnect(client)), leftMs(), late)
      } catch (error) {
        markOwn(error)
        throw error
      }
    }
  }
  if (verify !== undefined) {
    hooks.verify = (client, done) =>
      verify(client, error => {
        markOwn(error)
        done(error)
      })
  }

  const pool = new TokenPool({
    // An idle connection costs nothing in a frozen process; to open it again costs a handshake and a share of
    // RDS's rate limit.
    idleTimeoutMillis: 0,
    // A timer for an idle connection is no reason for the process to go on either.
    allowExitOnIdle: true,
    ...options,
    ...hooks,
    // For who makes a client of the pool's options, as Kysely does to cancel a query.
    ...driverOptions(access, settings),
    max,
    Client: TokenClient as unknown as new () => PoolClient,
  })
  // pg-pool reads it each time that it begins to wait, for a new connection or for one that is in use.
  Object.defineProperty(pool.options, 'connectionTimeoutMillis', { get: leftMs, enumerable: true })
  pool.on('remove', client => requests.forget(client as PoolClient))
  // Of a connection that nobody uses.
  pool.on('error', () => access.emit({ event: 'connection:closed', reason: 'lost', connections: 1 }))

  const rawRelease = (client: PoolClient, reason?: Error | boolean): void => releases.get(client)?.(reason)

  const requests = createPoolRequests<PoolClient>({
    access,
    settings,
    callers,
    askerNow,
    internals: {
      ask: (asker, isBeside) => pool.ask(asker, isBeside),
      tokenOf: error => tokens.get(error as object) ?? tokens.get((error as Error).cause as object),
      sessionOf,
      isEnding: () => false,
      discardOpening(nowMs) {
        for (const [client, deadlineMs] of opening) if (deadlineMs <= nowMs) destroy(client)
      },
      putBack: client => rawRelease(client),
      remove(client, isAbandoned) {
        const session = sessionOf(client)
        if (isAbandoned && (!session.isUsable() || session.isBusy())) void session.close()
        rawRelease(client, reasons.get(client) ?? true)
      },
      end(client) {
        const ended = new Promise<void>(resolve => client.once('end', resolve))
        rawRelease(client, true)
        return withinAnswerTime(ended).catch(() => destroy(client))
      },
      counts: () => ({ all: pool.totalCount, idle: pool.idleCount }),
      isOpen: () => !pool.ending,
      isUsers: error =>
        hookErrors.has(error as object) || (error as Error | undefined)?.message === poolHasEnded,
      close: () => void (pool.ending || pool.end().catch(() => {})),
    },
  })
  return { ...requests, pool }
}
