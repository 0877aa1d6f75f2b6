import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isIpAddress } from 'middy-rds-iam/identifiers'
import { type Authority, makeAuthority } from '../gateway/certificate.ts'
import type { Decision, GatewayStats } from '../gateway/decision.ts'
import { startWithAuthority } from '../gateway/gateway.ts'
import { readOptions } from '../gateway/settings.ts'
import type { DatabaseOptions } from './database-options.ts'
import { type DatabaseSettings, readDatabaseOptions } from './database-settings.ts'
import { engines, type Programs } from './engines.ts'

/**
 * A database that runs on this machine behind a gateway, and is reached as one on RDS is.
 *
 * @example
 * ```ts
 * await using database: Database = await startDatabase({ engine: 'postgres', users: ['orders_app'] })
 * console.log(database.server, database.environment.PGPORT)
 * ```
 */
export interface Database {
  /** Whose protocol is spoken: `mysql` is MariaDB's too. */
  readonly engine: 'postgres' | 'mysql'
  /** The real server, for example `'PostgreSQL 18.4'` or `'MariaDB 10.11.19'`. */
  readonly server: string
  /** Where the real server listens: it lets everybody in, and is for more gateways in front of it. */
  readonly upstream: { readonly host: string; readonly port: number }
  /**
   * The gateway's name, which tokens are signed for: `'localhost'`, unless `options.host` says another one.
   */
  readonly host: string
  /** The gateway's port. */
  readonly port: number
  /** The first of the users. */
  readonly user: string
  /** All of the users, for example `['orders_app']`. */
  readonly users: readonly string[]
  /** The database's name. */
  readonly database: string
  /** The Region that tokens must be signed for. */
  readonly region: string
  /** The certificate authority to trust, PEM. Another one at each start. */
  readonly ca: string
  /** The path of a file with the same, which ends with the database. */
  readonly caFile: string
  /** The key pair that tokens are to be signed with. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /**
   * Environment variables for a function: `PGHOST`, `PGPORT`, `PGUSER` and `PGDATABASE`, or `MYSQL_HOST` and
   * so on; `PGSSLROOTCERT` or `MYSQL_SSL_CA`, the file of the certificate authority, which this package trusts
   * too; `AWS_REGION` and the key pair; and `DATABASE_CA`, the authority as a text, for other uses. What would
   * take the place of the key pair is empty.
   */
  readonly environment: Readonly<Record<string, string>>
  /** All that the gateway decided so far. */
  readonly decisions: readonly Decision[]
  /** Counts of the gateway's. */
  readonly stats: () => GatewayStats
  /** Runs SQL in the database as the superuser; resolves to the rows of the last statement. */
  query(sql: string): Promise<Record<string, unknown>[]>
  /** Ends the gateway and the server and removes the data; calling it again is fine. */
  close(): Promise<void>
  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts a real PostgreSQL, MySQL or MariaDB with one database in it, and the gateway that authenticates as
 * RDS does in front of it. Its data lies in the system's temporary folder and is gone when the database is
 * closed, or this process ends.
 *
 * @example
 * ```ts
 * const setup = 'CREATE TABLE note (text text)'
 * const database = await startDatabase({ engine: 'postgres', users: ['orders_app'], setup })
 * Object.assign(process.env, database.environment)
 * // Import the handler now, call it, and look at what it wrote:
 * await database.query('SELECT text FROM note')
 * await database.close()
 * ```
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every wrong option at once, or where the setup fails or the
 * gateway cannot listen.
 * @throws {NotInstalled} Where there is no server to start, or no driver: the message says what to install.
 */
export function startDatabase(options: DatabaseOptions): Promise<Database> {
  return startDatabaseWith(options)
}

/** What a database is made of, where that is not what the options say. */
export interface DatabaseParts {
  /** Servers that need not be installed. @default what is installed */
  readonly programs?: Programs
  /** What the gateway has its certificate from. @default an authority of its own */
  readonly getAuthority?: () => Promise<Authority>
}

/**
 * As {@link startDatabase} does, of other parts.
 *
 * @internal
 */
export async function startDatabaseWith(
  options: DatabaseOptions,
  { programs = {}, getAuthority = makeAuthority }: DatabaseParts = {},
): Promise<Database> {
  const settings = readDatabaseOptions(options)
  const { users, database, region, credentials } = settings
  const engine = engines[settings.engine]
  const decisions: Decision[] = []
  const ends: (() => Promise<void>)[] = []
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= endAll(ends)
    return closing
  }
  try {
    const server = await engine.start(settings.kind, programs)
    ends.push(() => server.stop())
    await engine.create(server, database, users, settings.setup)
    const upstream = { host: '127.0.0.1', port: server.port }
    const gatewaySettings = readOptions({
      ...gatewayOptions(options),
      engine: settings.engine,
      region,
      users,
      upstream,
      onDecision: decision => {
        decisions.push(decision)
        options.onDecision?.(decision)
      },
    })
    const gateway = await startWithAuthority(gatewaySettings, await getAuthority())
    ends.push(() => gateway.close())
    const caFile = join(server.folder, 'ca.pem')
    writeFileSync(caFile, gateway.ca, { mode: 0o644 })
    const host = nameOf(options.host)
    return {
      engine: settings.engine,
      server: server.name,
      upstream,
      host,
      port: gateway.port,
      user: users[0],
      users,
      database,
      region,
      ca: gateway.ca,
      caFile,
      credentials,
      environment: environmentOf(settings, { host, port: gateway.port, ca: gateway.ca, caFile }),
      decisions,
      stats: gateway.stats,
      query: sql => server.query(sql, database),
      close,
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What was started last ends first. */
async function endAll(ends: readonly (() => Promise<void>)[]): Promise<void> {
  for (const end of ends.toReversed()) await end()
}

function gatewayOptions({ host, port, endpoints, credentials, policy, limit, ...rest }: DatabaseOptions) {
  const { handshakeTimeoutMs, now } = rest
  const where = { host, port, endpoints }
  return { ...where, credentials, policy, maxConnectionsPerSecond: limit, handshakeTimeoutMs, now }
}

/**
 * A name that leads to the address that the gateway listens on, because no token is signed for an address.
 */
function nameOf(address = '127.0.0.1'): string {
  if (!isIpAddress(address)) return address.toLowerCase()
  // Docker's bridge, for example, which containers know by this name.
  return /^(127\.|0\.0\.0\.0$|::1?$)/.test(address) ? 'localhost' : 'host.docker.internal'
}

function environmentOf(
  { engine, users, database, region, credentials }: DatabaseSettings,
  { host, port, ca, caFile }: Pick<Database, 'host' | 'port' | 'ca' | 'caFile'>,
): Readonly<Record<string, string>> {
  const { variables } = engines[engine]
  return {
    [variables.host]: host,
    [variables.port]: String(port),
    [variables.user]: users[0],
    [variables.database]: database,
    [variables.caFile]: caFile,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_SESSION_TOKEN: credentials.sessionToken ?? '',
    AWS_PROFILE: '',
    DATABASE_CA: ca,
  }
}
