/**
 * Logins for a program that speaks the protocol of a database itself: a driver or a proxy.
 *
 * @example
 * ```ts
 * import { createLoginSource } from 'middy-rds-iam/login-source'
 *
 * const { target } = createLoginSource('postgres', { user: 'orders_app' })
 * console.log(target.host, target.port)
 * ```
 * @module middy-rds-iam/login-source
 */
import type { TLSSocket } from 'node:tls'
import { type Access, createAccess } from '../access/access.ts'
import { explain } from '../errors/explain.ts'
import type { Target } from '../errors/target.ts'
import { emit } from '../events/emit.ts'
import { mysqlEngine } from '../options/mysql-engine.ts'
import type { AccessOption, RdsIamOptions } from '../options/options.ts'
import { postgresEngine } from '../options/postgres-engine.ts'
import { type AccessSettings, type OptionName, readSettings } from '../options/settings.ts'
import { type Attempted, type AttemptTerms, openWithRetries } from '../retries/open.ts'
import { systemClock } from '../time/clock.ts'
import { withDeadline } from '../time/deadline.ts'
import { elapsedMs } from '../time/elapsed.ts'
import { type AttemptToken, createAttemptToken } from '../token/attempt-token.ts'
import { requireVerified, type VerifiedTls } from '../trust/verified-tls.ts'

export type { Target, VerifiedTls }

/**
 * What a database is logged in at by: the options of a middleware that say where, as whom and for how long.
 *
 * @example { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app' }
 */
export type LoginOptions = Pick<RdsIamOptions, AccessOption | 'retryRefused'>

/**
 * One attempt to log in.
 *
 * @example
 * ```ts
 * import { connect } from 'node:tls'
 *
 * const dial = ({ host, port, tls, signal }: LoginAttempt) => {
 *   const socket = connect({ host, port, ...tls })
 *   signal.addEventListener('abort', () => socket.destroy(signal.reason))
 *   return socket
 * }
 * ```
 */
export interface LoginAttempt {
  /** The host to connect to. The certificate is compared with the name of the endpoint, whatever this is. */
  readonly host: string
  /** The port to connect to. */
  readonly port: number
  /** Options of `tls.connect` that verify the server's chain and name. */
  readonly tls: VerifiedTls
  /**
   * Gives the attempt up: its time is over, or another one was ready first. Its socket is to be destroyed
   * then, and the attempt to reject with `signal.reason`.
   */
  readonly signal: AbortSignal
  /**
   * Gives the authentication token, once the server has asked for it in clear text, and not before; and a
   * valid one later, where the session authenticates again. The last check is made here.
   *
   * @throws {RdsIamError} `RDS_IAM_TRUST` unless the socket is a TLS connection to the verified endpoint.
   */
  token(socket: TLSSocket): Promise<string>
}

/**
 * Logs in at one database as one user, for a program that speaks its protocol itself.
 *
 * @example
 * ```ts
 * const source: LoginSource = createLoginSource('mysql', { user: 'shop_app' })
 * console.log(source.target.host)
 * ```
 */
export interface LoginSource {
  /** Where, and as whom, with all defaults filled in. */
  readonly target: Pick<Target, 'host' | 'port' | 'user' | 'database' | 'endpoint'>
  /**
   * Logs in: by one attempt or, where it fails by what passes, is throttled or silent, by more of them until
   * `connectTimeoutMs` is over, as the middlewares do.
   *
   * @throws {RdsIamError} What the last attempt failed with, what it means and what to check.
   */
  open<Connection>(login: Login<Connection>): Promise<Connection>
}

/**
 * How one connection is opened.
 *
 * @example
 * ```ts
 * import { connect, type TLSSocket } from 'node:tls'
 *
 * const login: Login<TLSSocket> = {
 *   attempt: async ({ host, port, tls }) => connect({ host, port, ...tls }),
 *   discard: socket => socket.destroy(),
 * }
 * ```
 */
export interface Login<Connection> {
  /** The database that is asked for, for errors and events. @default the one of the options */
  readonly database?: string | undefined
  /**
   * Makes a connection and logs in. An error of the server's is told from others by its `code`, a SQLSTATE or
   * a name such as `ER_ACCESS_DENIED_ERROR`.
   */
  attempt(attempt: LoginAttempt): Promise<Connection>
  /** Ends a connection that came too late. */
  discard(connection: Connection): void
}

const engines = { postgres: postgresEngine, mysql: mysqlEngine }

/** Options that mean something to connections of a driver alone. */
const notOptions =
  'contextKey wrap client prefetch max targetSessionAttrs pingAfterIdleMs resetSession'.split(
    ' ',
  ) as OptionName[]

/**
 * Makes what logs in at a database with tokens, over verified TLS, with the retries and the explanations of
 * the middlewares. The protocol is the caller's: this is for proxies and drivers.
 *
 * @param engine Whose options are read, and whose failures are explained.
 * @param place Whose options they are, for errors.
 * @example
 * ```ts
 * import type { TLSSocket } from 'node:tls'
 *
 * // Speaks the protocol up to the session, and asks for the token when the server asks for a password.
 * declare function logIn(attempt: LoginAttempt): Promise<TLSSocket>
 *
 * const source = createLoginSource('postgres', { user: 'orders_app' })
 * const socket = await source.open({ attempt: logIn, discard: socket => socket.destroy() })
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once.
 */
export function createLoginSource(
  engine: 'postgres' | 'mysql',
  options: LoginOptions,
  place = 'createLoginSource',
): LoginSource {
  const settings = readSettings({ ...engines[engine], factory: place }, options, notOptions)
  const access = createAccess(settings)
  const { tokens, trust } = access
  const { host, port, user, database, endpoint, connectTimeoutMs } = settings

  const attemptOnce = async <Connection>(
    { attempt }: Login<Connection>,
    token: AttemptToken,
    { onDial, deadlineMs }: Pick<AttemptTerms, 'onDial'> & { readonly deadlineMs: number },
  ): Promise<Connection> => {
    const late = () => new Error(`no connection within ${connectTimeoutMs} ms`)
    const leftMs = () => deadlineMs - systemClock.now()
    if (leftMs() <= 0) throw late()
    const tls = await withDeadline(trust.load(), leftMs(), late)
    const abandoning = new AbortController()
    const stop = systemClock.after(Math.max(1, leftMs()), () => abandoning.abort(late()))
    let isConnected = false
    const connecting = attempt({
      host,
      port,
      tls,
      signal: abandoning.signal,
      async token(socket) {
        requireVerified(socket, endpoint)
        return (isConnected ? (await tokens.get()).token : await token.take()).value
      },
    })
    token.prepare()
    onDial({ isSilent: () => !token.isAwaited(), giveUp: () => abandoning.abort() })
    const connection = await connecting.finally(stop)
    isConnected = true
    return connection
  }

  return {
    target: { host, port, user, database, endpoint },
    open<Connection>(login: Login<Connection>) {
      const about = aboutDatabase(access, settings, login.database ?? database)
      const deadlineMs = systemClock.now() + connectTimeoutMs
      return openWithRetries<Connection>(
        { access: about, settings },
        { deadlineMs, account: undefined },
        {
          async attempt({ onDial }): Promise<Attempted<Connection>> {
            const token = createAttemptToken(tokens)
            const startedMs = performance.now()
            try {
              const connection = await attemptOnce(login, token, { onDial, deadlineMs })
              const durationMs = elapsedMs(startedMs)
              about.emit({ event: 'connection:opened', durationMs, tokenReused: token.isReused() })
              return { connection }
            } catch (error) {
              return { error, token }
            }
          },
          discard(connection) {
            login.discard(connection)
            about.emit({ event: 'connection:closed', reason: 'overtaken', connections: 1 })
          },
        },
      )
    },
  }
}

/** The same access, whose errors and events are about another database of the server. */
function aboutDatabase(access: Access, settings: AccessSettings, database: string): Access {
  const { failures } = settings
  return {
    ...access,
    emit: detail => emit({ ...settings, database }, detail),
    explain: (cause, detail) => explain(cause, { ...access.target, database, failures, ...detail }),
  }
}
