import { isIpAddress } from '../identifiers/endpoint.ts'
import { userNameProblem } from '../identifiers/user-names.ts'
import { createChecks, gotName } from '../options/checks.ts'
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
  readonly OldResourceProperties?: unknown
}

/** The properties of a `Custom::DatabaseUser`. */
export interface UserProperties extends DatabaseUser {
  readonly masterSecretArn: string
  readonly setup: readonly string[]
  readonly grants: readonly string[]
}

const needed = ['Engine', 'Host', 'Port', 'Database', 'MasterSecretArn', 'User']
const known = [...needed, 'Setup', 'Grants', 'ServiceToken', 'ServiceTimeout']

/** @throws Where it is none: there is nobody to answer to then. */
export function readRequest(event: unknown): ResourceRequest {
  const request = (event ?? {}) as ResourceRequest
  const texts = ['RequestType', 'ResponseURL', 'StackId', 'RequestId', 'LogicalResourceId'] as const
  const missing = texts.filter(name => typeof request[name] !== 'string')
  if (missing.length > 0) throw new Error(`Not a request of CloudFormation: without ${missing.join(', ')}`)
  if (!URL.canParse(request.ResponseURL))
    throw new Error('Not a request of CloudFormation: ResponseURL is no URL')
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
    if (Array.isArray(value) && value.every(text => typeof text === 'string' && text.trim() !== ''))
      return value
    checks.complain(name, 'is not a list of texts that are not empty')
    return []
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
 * What was granted before this update and is no longer listed. Nothing where the user or the database was
 * another one: CloudFormation has that one deleted.
 */
export function revokedGrants(
  request: ResourceRequest,
  { user, database, grants }: UserProperties,
): readonly string[] {
  const { User, Database, Grants } = (request.OldResourceProperties ?? {}) as Readonly<
    Record<string, unknown>
  >
  if (User !== user || Database !== database || !Array.isArray(Grants)) return []
  return Grants.filter(grant => typeof grant === 'string' && !grants.includes(grant))
}

/**
 * A physical ID; another one makes CloudFormation take the user for another one, and have the former deleted.
 */
export function physicalIdOf({ engine, host, port, database, user }: DatabaseUser): string {
  return `${engine}://${host}:${port}/${encodeURIComponent(database)}/${encodeURIComponent(user)}`
}

/** The physical ID of what was not created: there is nothing to delete. */
export const notCreated = 'not-created'
