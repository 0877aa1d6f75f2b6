import { AsyncLocalStorage } from 'node:async_hooks'
import type { ClientConfig, Submittable } from 'pg'
import Client from 'pg/lib/client.js'
import { isProxyEndpoint } from '../../identifiers/endpoint.ts'
import type { Settings } from '../../options/settings.ts'
import type { VerifiedTls } from '../../trust/verified-tls.ts'
import type { Callers } from '../callers.ts'
import type { ConnectRequest } from '../driver.ts'
import { createTokenAuth, type TokenAuth } from './auth.ts'
import { askTlsFor, forgetPassword, hearForkFailure, hideConnection, messageHandlers } from './internals.ts'
import { createSession, destroy, type PgSession } from './session.ts'

/** What a client is told of the settings. */
export type ClientSettings = Pick<Settings, 'host' | 'port' | 'user' | 'database' | 'endpoint' | 'client'>

type Callback = Parameters<Client['connect']>[0]

type Listener = (...given: unknown[]) => void

/** What the server tells whoever listens, and a handler listens to while it runs. */
const heard: readonly unknown[] = ['notice', 'notification']

/**
 * A `pg.Client` that authenticates with a token, and gives it to no server but the verified endpoint. What is
 * called on behalf of a query runs in the asynchronous context that sent the query.
 */
export class IamPgClient extends Client {
  readonly #auth: TokenAuth
  readonly #tls: VerifiedTls
  readonly #callers: Callers | undefined
  readonly #session: PgSession
  readonly #listeners: (readonly [event: 'notice', listener: Listener])[] = []
  /** The context that sent a query last. */
  #context: typeof runHere | undefined
  #isStarted = false

  /** @param callers Whose queries they are, where a connection goes from one to the next. */
  constructor(settings: ClientSettings, request: ConnectRequest, callers?: Callers) {
    const { host, port, user, database, endpoint, client } = settings
    // pg reads PG* variables where an option is missing, so whatever decides about trust is always given.
    const config: ClientConfig = {
      sslnegotiation: 'postgres',
      ...client,
      host,
      port,
      user,
      database,
      ssl: request.tls,
      password: () => this.#auth.answer(),
      connectionTimeoutMillis: request.timeoutMs,
    }
    super(config)
    hideConnection(this)
    if (host !== endpoint.host) askTlsFor(this, endpoint.host)
    // pg emits `error` twice when an idle connection is lost, and without a listener the process would end.
    this.on('error', () => {})
    this.#auth = createTokenAuth(this, endpoint, request.token)
    this.#tls = request.tls
    this.#callers = callers
    this.#session = createSession(this, () => this.#forgetUser(), isProxyEndpoint(endpoint.host))
    const on = (event: 'notice', listener: Listener): this => {
      if (heard.includes(event) && callers?.current() !== undefined) this.#listeners.push([event, listener])
      return super.on(event, listener)
    }
    Object.assign(this, { on, addListener: on })
  }

  override query = ((...given: Parameters<Client['query']>) => {
    const [query] = given as readonly unknown[]
    const isSubmittable = typeof (query as Partial<Submittable> | null)?.submit === 'function'
    // Its connection may be another's, and in the midst of a transaction. Nobody may wait for it any more, so
    // that an error would end the process.
    if (this.#callers?.isLate(this.#session))
      return isSubmittable ? query : given.some(isFunction) ? undefined : new Promise(() => {})
    const forget = this.#session.record(given)
    this.#context = AsyncLocalStorage.snapshot()
    if (isSubmittable) bindHandlers(query as Record<string, unknown>)
    const result = super.query(...(given.map(bindCallback) as typeof given)) as unknown
    if (forget !== undefined && result instanceof Promise) result.catch(forget)
    return result
  }) as Client['query']

  override emit = ((event: string, ...given: unknown[]): boolean => {
    // It says that nothing was open where this package rolled back to be sure.
    if (event === 'notice' && this.#session.restoration !== undefined) return false
    const emit = () => super.emit(event as 'error', ...(given as [Error]))
    return this.#context === undefined ? emit() : this.#context(emit)
  }) as Client['emit']

  /** Forgets whoever used the client: the context, and the listeners for what the server says. */
  #forgetUser(): void {
    this.#context = undefined
    for (const [event, listener] of this.#listeners.splice(0)) this.off(event, listener)
  }

  override connect(): Promise<Client>
  override connect(callback: Callback): void
  override connect(callback?: Callback): Promise<Client> | undefined {
    if (callback === undefined) {
      return new Promise((resolve, reject) =>
        this.connect((error: Error) => (error ? reject(error) : resolve(this))),
      )
    }
    // A handler that connects what is connected gets pg's own error, and keeps its connection.
    const isFirst = !this.#isStarted
    this.#isStarted = true
    const forkFailure = isFirst ? hearForkFailure(this) : () => undefined
    super.connect((driverError: Error) => {
      // pg keeps the password, and after a failure the socket too.
      forgetPassword(this)
      const words = driverError ? forkFailure() : undefined
      const failure = words === undefined ? driverError : new Error(words, { cause: driverError })
      const error = failure ?? this.#auth.findWeakness()
      if (error && isFirst) destroy(this)
      const tell = () => (callback as (error: Error) => void)(error)
      // pg tells of a connection a moment before it takes it for ready.
      if (error) tell()
      else queueMicrotask(tell)
    })
    // The handshake needs it. The first one takes longer to make than the server takes to agree to TLS.
    void this.#tls.secureContext
    return undefined
  }
}

function runHere<Result>(run: () => Result): Result {
  return run()
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

/** Has a callback run in the context that it was given in. */
function bindCallback(given: unknown): unknown {
  return typeof given === 'function' ? AsyncLocalStorage.bind(given as Listener) : given
}

/** Has a submitted query, such as a cursor or a stream, run in the context that it was submitted in. */
function bindHandlers(query: Record<string, unknown>): void {
  for (const name of messageHandlers) {
    const handle = query[name]
    if (typeof handle === 'function') query[name] = AsyncLocalStorage.bind(handle as Listener)
  }
}
