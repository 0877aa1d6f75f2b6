import { hostProblem, isIpAddress } from '../identifiers/endpoint.ts'
import { userNameProblem } from '../identifiers/user-names.ts'
import { createChecks, gotName } from '../options/checks.ts'
import { type OwnUser, separator } from './own-stack.ts'
import { answerAddressProblem } from './stack-address.ts'
import { type DatabaseUser, TaskFailure } from './user-task.ts'

/**
 * What CloudFormation asks a custom resource for.
 *
 * @see https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-requests.html
 */
export interface ResourceRequest {
  /** `Create`, `Update` or `Delete`. */
  readonly RequestType: string
  /** Signed: whoever has it can answer in the name of the resource. */
  readonly ResponseURL: string
  readonly StackId: string
  readonly RequestId: string
  readonly LogicalResourceId: string
  /** Missing in the first request. */
  readonly PhysicalResourceId?: string
  readonly ResourceProperties?: unknown
}

/** The properties of a `Custom::DatabaseUser`. */
export interface UserProperties extends DatabaseUser {
  readonly masterSecretArn: string
  readonly setup: readonly string[]
  readonly grants: readonly string[]
}

const needed = ['Engine', 'Host', 'Port', 'Database', 'MasterSecretArn', 'User']
const known = [...needed, 'Setup', 'Grants', 'ServiceToken', 'ServiceTimeout']

/** @throws Where it is none, or has no address that CloudFormation could be answered at. */
export function readRequest(event: unknown, region: string): ResourceRequest {
  const request = (event ?? {}) as ResourceRequest
  const texts = ['RequestType', 'ResponseURL', 'StackId', 'RequestId', 'LogicalResourceId'] as const
  const missing = texts.filter(name => typeof request[name] !== 'string')
  if (missing.length > 0) throw new Error(`Not a request of CloudFormation: without ${missing.join(', ')}`)
  const problem = answerAddressProblem(request.ResponseURL, region)
  if (problem !== undefined) throw new Error(`Not a request of CloudFormation: its ResponseURL ${problem}`)
  const { PhysicalResourceId } = request
  if (PhysicalResourceId !== undefined && typeof PhysicalResourceId !== 'string')
    throw new Error('Not a request of CloudFormation: its PhysicalResourceId is no text')
  return request
}

/** @throws {TaskFailure} Naming every problem at once and what it got. */
export function readProperties({ LogicalResourceId, ResourceProperties }: ResourceRequest): UserProperties {
  const checks = createChecks()
  const given = checks.object('Properties', ResourceProperties, 'an object') ?? {}
  for (const name of needed) if (given[name] === undefined) checks.complain(name, 'is missing')
  for (const name of Object.keys(given).filter(name => !known.includes(name)))
    checks.complain(name, 'is not a property')

  const { Engine, User } = given
  const engine = Engine === 'mysql' ? 'mysql' : 'postgres'
  if (Engine !== undefined && Engine !== engine)
    checks.complain('Engine', `is neither "postgres" nor "mysql", which is MariaDB's too${gotName(Engine)}`)
  const problem = User === undefined ? undefined : userNameProblem(engine, User)
  if (problem !== undefined) checks.complain('User', `${problem}${gotName(User)}`)

  const host = checks.host('Host', given.Host) ?? ''
  if (isIpAddress(host)) checks.complain('Host', 'is an IP address, which no certificate of RDS names')
  const database = checks.text('Database', given.Database) ?? ''
  const isTooLong = engine === 'postgres' ? Buffer.byteLength(database) > 63 : database.length > 64
  if (isTooLong) checks.complain('Database', 'is longer than the name of a database')
  const texts = (name: string): readonly string[] => {
    const value = given[name] ?? []
    if (!Array.isArray(value) || !value.every(text => typeof text === 'string' && text.trim() !== '')) {
      checks.complain(name, 'is not a list of texts that are not empty')
      return []
    }
    if (value.some(text => text.includes(separator)))
      checks.complain(name, `has "${separator}" within a text, which stands between two of them`)
    return value
  }
  const properties: UserProperties = {
    engine,
    host,
    port: checks.port('Port', given.Port) ?? 0,
    database,
    user: String(User),
    masterSecretArn: checks.text('MasterSecretArn', given.MasterSecretArn) ?? '',
    setup: texts('Setup'),
    grants: texts('Grants'),
  }
  if (checks.problems.length > 0)
    throw new TaskFailure(`Properties of ${LogicalResourceId} are wrong: ${checks.problems.join('; ')}`)
  return properties
}

/**
 * Refuses what the stack's own template does not ask for: whoever may invoke the function could send any
 * SQL, and an old request that comes late would undo a newer one.
 *
 * @throws {TaskFailure} Naming every property that is another one.
 */
export function requireOwn(properties: UserProperties, own: OwnUser): void {
  const pairs = [
    ['Host', properties.host, own.host, 'DATABASE_HOST'],
    ['Port', properties.port, own.port, 'DATABASE_PORT'],
    ['Database', properties.database, own.database, 'DATABASE_NAME'],
    ['User', properties.user, own.user, 'DATABASE_USER'],
    ['MasterSecretArn', properties.masterSecretArn, own.masterSecretArn, 'MASTER_SECRET_ARN'],
    ['Setup', properties.setup.join(separator), own.setup, 'SETUP'],
    ['Grants', properties.grants.join(separator), own.grants, 'GRANTS'],
  ] as const
  const others = pairs.filter(([, given, wanted]) => given !== wanted)
  if (others.length === 0) return
  const list = others.map(([name, , , variable]) => `\`${name}\` is not ${variable}`).join('; ')
  throw new TaskFailure(
    `The stack's template asks for something else, as the function's environment variables have it: ${list}`,
  )
}

/**
 * A physical ID; another one makes CloudFormation take the user for another one, and have the former deleted.
 */
export function physicalIdOf({ engine, host, port, database, user }: DatabaseUser): string {
  return `${engine}://${host}:${port}/${encodeURIComponent(database)}/${encodeURIComponent(user)}`
}

/** What a physical ID is that of; `undefined` for one that {@link physicalIdOf} never makes. */
export function readPhysicalId(id: string): DatabaseUser | undefined {
  const [, engine, host, port, database, user] =
    /^(postgres|mysql):\/\/([^/:]+):(\d{1,5})\/([^/]+)\/([^/]+)$/.exec(id) ?? []
  try {
    const read: DatabaseUser = {
      engine: engine as DatabaseUser['engine'],
      host: String(host),
      port: Number(port),
      database: decodeURIComponent(String(database)),
      user: decodeURIComponent(String(user)),
    }
    const isOurs = engine !== undefined && hostProblem(read.host) === undefined && physicalIdOf(read) === id
    return isOurs ? read : undefined
  } catch {
    // No text that was encoded so.
    return undefined
  }
}

/** The physical ID of what was not created: there is nothing to delete. */
export const notCreated = 'not-created'
