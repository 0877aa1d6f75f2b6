import type { ClientConfig, Connection } from 'pg'
import Client from 'pg/lib/client.js'
import type { Settings } from '../../options/settings.ts'
import { requireVerified } from '../../trust/verified-tls.ts'
import type { ConnectRequest, Driver } from '../driver.ts'
import type { SessionDriver } from '../session.ts'

/** What pg keeps to itself but its state cannot be known without. Tests hold these names against the installed version. */
interface Internals {
  readonly connection: Connection
  readonly connectionParameters: { password: unknown }
  password: unknown
  readonly readyForQuery?: boolean
  readonly _activeQuery: { callback?: unknown } | null
  readonly _queryQueue: readonly { callback?: unknown }[]
  readonly _queryable: boolean
  readonly _ended: boolean
  readonly _ending: boolean
}

type Callback = Parameters<Client['connect']>[0]

/** A `pg.Client` that authenticates with a token, and gives it to nobody but the verified endpoint. */
export class IamPgClient extends Client {
  readonly #request: ConnectRequest
  readonly #settings: Settings
  #asked = 'clear text'
  #isStarted = false

  constructor(settings: Settings, request: ConnectRequest) {
    const { host, port, user, database, client } = settings
    // pg reads PG* variables where an option is missing, so whatever decides about trust is always given.
    const config: ClientConfig = {
      sslnegotiation: 'postgres',
      ...client,
      host,
      port,
      user,
      database,
      ssl: request.tls,
      password: () => this.#answer(),
      connectionTimeoutMillis: request.timeoutMs,
    }
    super(config)
    this.#request = request
    this.#settings = settings
    // pg emits `error` twice when an idle connection is lost, and without a listener the process would end.
    this.on('error', () => {})
    const { connection } = internalsOf(this)
    connection.on('errorMessage', ({ code }: { code?: string }) => {
      if (code === '25006') readOnly.add(this)
    })
    connection.on('authenticationMD5Password', () => {
      this.#asked = 'MD5'
    })
    connection.on('authenticationSASL', () => {
      this.#asked = 'SCRAM'
    })
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
      this.#forgetToken()
      const error = failure ?? this.#findWeakness()
      if (error && isFirst) destroy(this)
      const tell = () => (callback as (error: Error) => void)(error)
      // pg tells of a connection a moment before it takes it for ready.
      if (error) tell()
      else queueMicrotask(tell)
    })
    return undefined
  }

  /** Answers the server's request for a password. It must not reject: pg would leave the socket open. */
  async #answer(): Promise<string> {
    const { stream } = internalsOf(this).connection
    try {
      requireVerified(stream, this.#settings.endpoint)
      if (this.#asked !== 'clear text')
        throw new Error(`The server asked for a password by ${this.#asked}, not for a token`)
      const { value } = await this.#request.token()
      // pg sends it as soon as it has it, and would keep it until the server has answered.
      setImmediate(() => this.#forgetToken())
      return value
    } catch (error) {
      stream.destroy(error as Error)
      return ''
    }
  }

  /** A server that asks for no password has still to be the one that was meant. */
  #findWeakness(): Error | undefined {
    try {
      requireVerified(internalsOf(this).connection.stream, this.#settings.endpoint)
      return undefined
    } catch (error) {
      return error as Error
    }
  }

  #forgetToken(): void {
    const internals = internalsOf(this)
    internals.password = null
    internals.connectionParameters.password = null
  }
}

/**
 * Connections on which a server said that it takes no writes. After a failover the endpoint leads to another server, and only a new
 * connection gets there.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html: 25006 read_only_sql_transaction
 */
const readOnly = new WeakSet<Client>()

/** Whether the client can take a query, as far as the process knows, and what it leads to is not known to take no writes. */
export function isUsable(client: Client): boolean {
  const { _queryable, _ended, _ending, connection } = internalsOf(client)
  const { readable, writable, destroyed } = connection.stream
  return _queryable && !_ended && !_ending && readable && writable && !destroyed && !readOnly.has(client)
}

/** Whether a query is running or waiting. */
export function isBusy(client: Client): boolean {
  const { _activeQuery, _queryQueue } = internalsOf(client)
  return Boolean(_activeQuery) || _queryQueue.length > 0
}

/** pg lets go of a query at its error, before the server's ReadyForQuery. */
export function whenReady(client: Client): Promise<void> | undefined {
  if (internalsOf(client).readyForQuery === true) return undefined
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      client.off('drain', settle).off('end', settle)
      if (isUsable(client)) resolve()
      else reject(new Error('the connection was lost'))
    }
    client.on('drain', settle).on('end', settle)
  })
}

/**
 * Ends a connection whose queries nobody waits for any more. They are not told: an error that nobody awaits would end the process.
 */
export function abandon(client: Client): void {
  const { _activeQuery, _queryQueue } = internalsOf(client)
  for (const query of [_activeQuery, ..._queryQueue]) {
    if (typeof query?.callback === 'function') query.callback = () => {}
  }
  destroy(client)
}

/** Ends the connection without waiting for anything. */
export function destroy(client: Client): void {
  internalsOf(client).connection.stream.destroy()
}

/**
 * What `DISCARD ALL` does, but for prepared statements and plans, which pg believes the server to keep.
 *
 * @see https://www.postgresql.org/docs/current/sql-discard.html
 */
const resetSql =
  'CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES'

/** How a session of PostgreSQL is looked at and put back. */
export const pgSession: SessionDriver<Client> & Pick<Driver<Client>, 'isBusy'> = {
  isBusy,
  whenReady,
  isInTransaction: client => client.getTransactionStatus() !== 'I',
  // The empty query is the cheapest: the server neither parses nor plans.
  ping: client => client.query(''),
  rollback: client => client.query('ROLLBACK'),
  reset: client => client.query(resetSql),
}

function internalsOf(client: Client): Internals {
  return client as unknown as Internals
}
