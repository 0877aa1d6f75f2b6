import type { ClientConfig } from 'pg'
import Client from 'pg/lib/client.js'
import type { Settings } from '../../options/settings.ts'
import type { VerifiedTls } from '../../trust/verified-tls.ts'
import type { ConnectRequest } from '../driver.ts'
import { createTokenAuth, type TokenAuth } from './auth.ts'
import { forgetPassword, hideConnection } from './internals.ts'
import { createSession, destroy } from './session.ts'

/** What a client is told of the settings. */
export type ClientSettings = Pick<Settings, 'host' | 'port' | 'user' | 'database' | 'endpoint' | 'client'>

type Callback = Parameters<Client['connect']>[0]

/** A `pg.Client` that authenticates with a token, and gives it to no server but the verified endpoint. */
export class IamPgClient extends Client {
  readonly #auth: TokenAuth
  readonly #tls: VerifiedTls
  #isStarted = false

  constructor(settings: ClientSettings, request: ConnectRequest) {
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
    // pg emits `error` twice when an idle connection is lost, and without a listener the process would end.
    this.on('error', () => {})
    this.#auth = createTokenAuth(this, endpoint, request.token)
    this.#tls = request.tls
    createSession(this)
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
    super.connect((failure: Error) => {
      // pg keeps the password, and after a failure the socket too.
      forgetPassword(this)
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
