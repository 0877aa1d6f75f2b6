import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { basename, dirname, resolve } from 'node:path'
import { createLoginSource, type LoginSource } from 'middy-rds-iam/login-source'
import { type Checks, createChecks, refuseProblems, show } from 'middy-rds-iam/options'
import type { ProxyEvent } from './events.ts'
import type { ProxyOptions } from './options.ts'

/** Where to listen. */
export interface Place {
  /** With a Unix socket, what clients have in place of its path: PostgreSQL's a folder and a number. */
  readonly host: string
  readonly port: number
  readonly socket: string | undefined
}

/** The options with every default filled in. */
export interface ProxySettings {
  readonly engine: 'postgres' | 'mysql'
  readonly place: Place
  /** `undefined` for none. */
  readonly password: string | undefined
  readonly source: LoginSource
  readonly tell: (event: ProxyEvent) => void
}

type Given = Readonly<Record<string, unknown>>

/**
 * `sun_path` of macOS has 104 bytes, and that of Linux 108, a NUL byte included.
 *
 * @see https://man7.org/linux/man-pages/man7/unix.7.html
 */
const longestSocketPath = 103

const engineNames = ['postgres', 'mysql'] as const

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem; a password is not shown.
 */
export function readProxyOptions(options: ProxyOptions): ProxySettings {
  const checks = createChecks()
  const given: Given = checks.object('options', options, '{ host, user }') ?? {}
  const { engine: givenEngine, listen, password, onEvent, ...login } = given
  const engine = checks.oneOf('engine', givenEngine, engineNames, 'postgres')
  const place = readListen(checks, listen, engine)
  const settings = {
    engine,
    place,
    password: readPassword(checks, password),
    tell: harmlessly(checks.function('onEvent', onEvent) as ProxyOptions['onEvent']),
  }
  for (const name of ['logger', 'metrics'])
    if (name in login) checks.complain(name, 'is not an option: `onEvent` hears of everything')
  refuseProblems('startProxy', checks.problems)
  const log = (_message: string, event: Record<string, unknown>) =>
    settings.tell(event as unknown as ProxyEvent)
  const logger = { debug: log, info: log, warn: log, error: log }
  return { ...settings, source: createLoginSource(engine, { ...login, logger }, 'startProxy') }
}

function readListen(checks: Checks, value: unknown, engine: ProxySettings['engine']): Place {
  const listen: Given = checks.object('listen', value, 'of the form { host?, port? } or { socket }') ?? {}
  if (listen.socket === undefined) {
    checks.known(listen, ['host', 'port', 'socket'], 'listen.')
    return {
      host: readLoopback(checks, listen.host),
      port: checks.integer('listen.port', listen.port, { fallback: 0, min: 0, max: 65_535 }),
      socket: undefined,
    }
  }
  checks.known(listen, ['socket'], 'listen.')
  const given = checks.text('listen.socket', listen.socket) ?? ''
  // Clients take what begins with a slash for a path, and what does not for a name.
  const socket = resolve(given)
  if (Buffer.byteLength(socket) > longestSocketPath)
    checks.complain(
      'listen.socket',
      `is longer than the ${longestSocketPath} bytes that every system takes; got ${show(socket)}`,
    )
  if (engine === 'mysql') return { host: 'localhost', port: 0, socket }
  // https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-HOST: the folder is the host, and the
  // port is in the name.
  const [, port] = /^\.s\.PGSQL\.(\d{1,5})$/.exec(basename(socket)) ?? []
  if (given !== '' && port === undefined)
    checks.complain(
      'listen.socket',
      `has a name that no client of PostgreSQL looks for; call it .s.PGSQL.5432; got ${show(given)}`,
    )
  return { host: dirname(socket), port: Number(port ?? 0), socket }
}

/** Whoever reaches the port speaks to the database in the name of this user: so nobody else's machine may. */
function readLoopback(checks: Checks, value: unknown): string {
  const host = checks.host('listen.host', value) ?? '127.0.0.1'
  if (host === 'localhost') return '127.0.0.1'
  const isLoopback = (isIP(host) === 4 && host.startsWith('127.')) || host === '::1'
  if (!isLoopback)
    checks.complain(
      'listen.host',
      `is not an address of this machine alone: give 127.0.0.1 or ::1; got ${show(host)}`,
    )
  return host
}

function readPassword(checks: Checks, value: unknown): string | undefined {
  if (value === false) return undefined
  if (value === undefined) return randomBytes(24).toString('base64url')
  const password = checks.secret('password', value)
  // Beyond ASCII, SCRAM normalises a password, and clients differ in whether they do.
  if (password !== '' && !/^[\x21-\x7e]{8,}$/.test(password))
    checks.complain('password', 'is not a text of at least 8 printable ASCII characters without a space')
  return password
}

/** A listener's mistake must not decide about a connection. */
function harmlessly(onEvent: ProxyOptions['onEvent']): ProxySettings['tell'] {
  return event => {
    try {
      onEvent?.(event)
    } catch (error) {
      process.emitWarning(
        `onEvent of the proxy threw: ${error instanceof Error ? error.message : 'no error'}`,
      )
    }
  }
}
