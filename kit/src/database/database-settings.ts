import { takenNameProblem, userNameProblem } from 'middy-rds-iam/identifiers'
import { type Checks, createChecks, gotName, refuseProblems } from 'middy-rds-iam/options'
import type { Given } from '../gateway/given.ts'
import { engineNames, frontOptionNames, readFront, readLimit } from '../gateway/settings.ts'
import type { GatewayCredentials } from '../gateway/sigv4.ts'
import type { DatabaseOptions } from './database-options.ts'
import { type Engine, engines } from './engines.ts'
import type { MysqlKind } from './mysql-program.ts'

/**
 * The options of a development database with every default filled in, but for those that are the gateway's.
 */
export interface DatabaseSettings {
  readonly engine: 'postgres' | 'mysql'
  readonly kind: MysqlKind | undefined
  readonly users: readonly [string, ...string[]]
  readonly database: string
  readonly setup: string
  readonly region: string
  /** What tokens are to be signed with. */
  readonly credentials: GatewayCredentials
}

const optionNames = ['engine', 'kind', 'users', 'database', 'setup', 'limit', ...frontOptionNames]
const defaultRegion = 'eu-west-1'

/**
 * Checks the options, the gateway's too, and fills in the defaults.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once.
 */
export function readDatabaseOptions(options: DatabaseOptions): DatabaseSettings {
  const checks = createChecks()
  const given: Given = checks.object('options', options, '{ engine, users }') ?? {}
  checks.known(given, optionNames)
  if (given.engine === undefined) checks.complain('engine', `is missing; give 'postgres' or 'mysql'`)
  const engine = checks.oneOf('engine', given.engine, engineNames, 'postgres')
  const users = readUsers(checks, given.users, engine)
  const front = readFront(checks, { ...given, region: given.region ?? defaultRegion }, true)
  readLimit(checks, 'limit', given.limit)
  const [credentials] = front.credentials.values()
  if (credentials === undefined) checks.complain('credentials', 'is an empty list; leave it out')
  const settings = {
    engine,
    kind: readKind(checks, given.kind, engine),
    users: users as readonly [string, ...string[]],
    database: readDatabase(checks, given.database ?? users[0], engines[engine]),
    setup: readSetup(checks, given.setup),
    region: front.region,
    credentials: credentials as GatewayCredentials,
  }
  refuseProblems('startDatabase', checks.problems)
  return settings
}

function readKind(checks: Checks, value: unknown, engine: DatabaseSettings['engine']): MysqlKind | undefined {
  if (value === undefined) return undefined
  if (engine === 'postgres') checks.complain('kind', "goes with the engine 'mysql'")
  return checks.oneOf('kind', value, ['mariadb', 'mysql'], 'mariadb')
}

function readUsers(checks: Checks, value: unknown, engine: DatabaseSettings['engine']): readonly string[] {
  const users = checks.list('users', value)
  if (value === undefined || (Array.isArray(value) && users.length === 0))
    checks.complain('users', 'names nobody; give at least one IAM user')
  for (const [index, user] of users.entries()) {
    const isTwice = users.indexOf(user) < index
    const problem =
      userNameProblem(engine, user) ??
      takenNameProblem(user, engines[engine].superuser) ??
      (isTwice ? 'is there twice' : undefined)
    if (problem !== undefined) checks.complain(`users[${index}]`, `${problem}${gotName(user)}`)
  }
  return users as readonly string[]
}

function readDatabase(checks: Checks, value: unknown, { ownDatabases, maxNameLength }: Engine): string {
  if (value === undefined) return ''
  const name = checks.text('database', value) ?? ''
  if (ownDatabases.includes(name.toLowerCase()))
    checks.complain('database', `is a database that the server has for itself${gotName(name)}`)
  if (Buffer.byteLength(name) > maxNameLength)
    checks.complain('database', `is longer than ${maxNameLength} bytes${gotName(name)}`)
  return name
}

function readSetup(checks: Checks, value: unknown): string {
  if (value === undefined || typeof value === 'string') return value ?? ''
  checks.complain('setup', `is not a text of SQL; got a value of the type ${typeof value}`)
  return ''
}
