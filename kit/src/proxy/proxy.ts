import { createServer, type Server, type Socket } from 'node:net'
import { addressesOf } from './addresses.ts'
import { createCancels } from './cancels.ts'
import { createGreetings } from './greetings.ts'
import { listen } from './listener.ts'
import { serveMysql } from './mysql.ts'
import type { ProxyOptions } from './options.ts'
import { servePostgres } from './postgres.ts'
import { createScramVerifier } from './scram.ts'
import { type ProxySettings, readProxyOptions } from './settings.ts'
import { Ended, type Site } from './site.ts'
import { createThreads } from './threads.ts'

/**
 * A proxy that listens.
 *
 * @example
 * ```ts
 * await using proxy: LocalProxy = await startProxy({ user: 'orders_app' })
 * console.log(proxy.host, proxy.port)
 * ```
 */
export interface LocalProxy {
  /** Whose protocol is spoken: `mysql` is MariaDB's too. */
  readonly engine: 'postgres' | 'mysql'
  /**
   * What clients have as the host: `'127.0.0.1'`; with a Unix socket PostgreSQL's folder, or `'localhost'`.
   */
  readonly host: string
  /** What clients have as the port, for example `15432`; 0 with a Unix socket of MySQL. */
  readonly port: number
  /** The path of the Unix socket, where it listens at one. */
  readonly socket: string | undefined
  /** Where it leads: the database, or the tunnel to it. */
  readonly upstream: { readonly host: string; readonly port: number }
  /** The database user, and no other one, that clients log in as. */
  readonly user: string
  /** The password of this port, which clients have to give; `undefined` where there is none. */
  readonly password: string | undefined
  /** The database that `url` names; clients may name others. Empty for none. */
  readonly database: string
  /**
   * For example `'postgres://orders_app:kXk…@127.0.0.1:15432/orders?sslmode=disable'`: the password is in it.
   */
  readonly url: string
  /**
   * Environment variables for another program: `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE` and
   * `PGSSLMODE`, or `MYSQL_HOST`, `MYSQL_TCP_PORT` (`MYSQL_UNIX_PORT`), `MYSQL_USER`, `MYSQL_PWD` and
   * `MYSQL_DATABASE`; and `DATABASE_URL`. What is to take the place of an inherited one is empty.
   */
  readonly environment: Readonly<Record<string, string>>
  /** Ends the listener and every connection, and resolves when nothing is left; calling it again is fine. */
  close(): Promise<void>
  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a local port, or a Unix socket, through which any program reaches RDS: each connection to it becomes
 * a connection to the database, over TLS whose chain and name are verified, with a valid IAM token, tried
 * again as the middlewares do.
 *
 * Nothing is sent to the database before a client has given the port's password, but for one login at the
 * start with MySQL, whose clients are to be greeted in the words of their server.
 *
 * @example
 * ```ts
 * import { execFileSync } from 'node:child_process'
 *
 * await using proxy = await startProxy({
 *   host: 'orders.c1x2.eu-west-1.rds.amazonaws.com',
 *   user: 'orders_app',
 *   database: 'orders',
 * })
 * execFileSync('npx', ['prisma', 'migrate', 'deploy'], { env: { ...process.env, ...proxy.environment } })
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` (the promise rejects) where an option is wrong, or where the
 * address cannot be listened on. What goes wrong at the database, each client is told.
 */
export async function startProxy(options: ProxyOptions): Promise<LocalProxy> {
  const settings = readProxyOptions(options)
  const { engine, place, password, source, tell } = settings
  const held = new Set<Socket>()
  let closing: Promise<void> | undefined
  const hold = (socket: Socket): void => {
    held.add(socket)
    // What broke is said by the `close` that follows; without a listener, it would end the process.
    socket.on('error', () => {})
    socket.once('close', () => held.delete(socket))
    // An attempt that begins when all is over.
    if (closing !== undefined) socket.destroy(new Ended('the proxy was closed'))
  }
  // A client that has said all may still be waiting for the answer.
  const server = createServer({ noDelay: true, keepAlive: true, allowHalfOpen: true })
  const { host, port } = await listen(server, place)
  const serve = createService(settings, { source, password, hold, tell })
  server.on('connection', socket => {
    hold(socket)
    serve(socket)
  })
  // Running out of file descriptors, for example: connections that come later may work again.
  server.on('error', error =>
    process.emitWarning(`The proxy could not accept a connection: ${error.message}`),
  )
  const { user, database, ...target } = source.target
  const upstream = { host: target.host, port: target.port }
  const reached = { engine, host, port, socket: place.socket, user, password, database }
  const close = (): Promise<void> => {
    closing ??= end(server, held)
    return closing
  }
  return { ...reached, ...addressesOf(reached), upstream, close, [Symbol.asyncDispose]: close }
}

function createService({ engine, password }: ProxySettings, site: Site): (socket: Socket) => void {
  if (engine === 'mysql') {
    const parts = { site, greetings: createGreetings(site.source, site.hold), threads: createThreads() }
    return socket => void serveMysql(socket, parts)
  }
  const scram = password === undefined ? undefined : createScramVerifier(password)
  const cancels = createCancels(site.hold)
  return socket => void servePostgres(socket, { site, scram, cancels })
}

/** Resolves once every socket has said that it is closed. */
async function end(server: Server, held: ReadonlySet<Socket>): Promise<void> {
  const closed = [...held].map(socket => new Promise(resolve => socket.once('close', resolve)))
  closed.push(new Promise(resolve => server.close(resolve)))
  // TLS before the TCP under it: the other way round, where a TLS handshake has ended in this very turn, Node
  // crashes.
  for (const socket of [...held].reverse()) socket.destroy()
  await Promise.all(closed)
}
