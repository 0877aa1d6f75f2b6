import { startDatabaseWith } from '../kit/src/database/database.ts'
import type { Programs } from '../kit/src/database/engines.ts'
import {
  type Authority,
  type Database,
  type DatabaseOptions,
  type GatewayPolicy,
  makeAuthority,
  readTemplatePolicy,
} from '../kit/src/index.ts'
import { buildFunction } from './build-function.ts'
import { type FunctionProcess, startFunction } from './function-process.ts'
import { databaseName, type EngineName, readSampleSql, userName } from './sample-database.ts'
import { type FunctionName, readTemplate, type Template } from './template.ts'

export { NotInstalled } from '../kit/src/index.ts'
export type { EngineName } from './sample-database.ts'

/** What the engines' sample functions are called, and where they read their database from. */
const samples: Readonly<Record<EngineName, Sample>> = {
  postgres: {
    functionName: 'PostgresNotesFunction',
    variables: { host: 'PGHOST', port: 'PGPORT', user: 'PGUSER', database: 'PGDATABASE' },
  },
  mysql: {
    functionName: 'MysqlNotesFunction',
    variables: {
      host: 'MYSQL_HOST',
      port: 'MYSQL_TCP_PORT',
      user: 'MYSQL_USER',
      database: 'MYSQL_DATABASE',
    },
  },
}

export const engineNames = Object.keys(samples) as readonly EngineName[]

export interface Sample {
  readonly functionName: FunctionName
  /** The environment variables of the sample function. */
  readonly variables: Readonly<Record<'host' | 'port' | 'user' | 'database', string>>
}

/** What takes the place of AWS on this machine: the sample's database behind the gateway. */
export interface Stack extends Sample {
  readonly engine: EngineName
  readonly database: Database
  /**
   * The environment variables that `template.yaml` declares, filled in for a function that reaches the
   * gateway as `host`.
   */
  functionEnvironment(host: string): Record<string, string>
}

/**
 * Where the gateway listens and tells its decisions, which server it must be for `mysql`, and whose policy it
 * evaluates.
 */
export interface StackOptions extends Pick<DatabaseOptions, 'host' | 'port' | 'onDecision' | 'kind'> {
  /** @default the one in the checkout */
  readonly template?: Template | undefined
  /** @default one that ends with the gateway */
  readonly getAuthority?: (() => Promise<Authority>) | undefined
  /** Servers that need not be installed. @default what is installed */
  readonly programs?: Programs | undefined
}

/** An IAM user of the database whom the template's policy does not name. */
export const otherUserName = 'notes_reader'

/**
 * The Region and the credentials of a function on this machine: those of `sam local invoke` without an AWS
 * account.
 */
export const standInIdentity = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'defaultkey',
  AWS_SECRET_ACCESS_KEY: 'defaultsecret',
} as const

/**
 * Starts a server with the sample's database, and the gateway in front of it.
 *
 * @throws {NotInstalled} Where there is no such server on this machine.
 */
export async function startStack(
  engine: EngineName,
  { template = readTemplate(), getAuthority = makeAuthority, programs = {}, ...options }: StackOptions = {},
): Promise<Stack> {
  const databaseOptions: DatabaseOptions = {
    ...options,
    engine,
    users: [userName, otherUserName],
    database: databaseName,
    setup: readSampleSql(engine),
    region: standInIdentity.AWS_REGION,
    policy: policyOf(template, engine),
  }
  const database = await startDatabaseWith(databaseOptions, { getAuthority, programs })
  const { functionName, variables } = samples[engine]
  return {
    engine,
    functionName,
    variables,
    database,
    functionEnvironment: host => ({
      [variables.host]: host,
      [variables.port]: String(database.port),
      [variables.user]: userName,
      [variables.database]: databaseName,
      DATABASE_CA: database.ca,
    }),
  }
}

/** What the template will allow the sample function, once it is deployed for a database that is there. */
function policyOf(template: Template, engine: EngineName): GatewayPolicy {
  const resourceId = 'db-ABCDEFGHIJKL01234'
  const document = readTemplatePolicy(template, {
    region: standInIdentity.AWS_REGION,
    role: samples[engine].functionName,
    parameters: { Engine: engine, DbiResourceId: resourceId, DatabaseUser: userName },
  })
  return { document, resourceId }
}

/** Bundles the sample function of an engine. @returns The folder that holds it. */
export function buildSample(engine: EngineName): Promise<string> {
  const { functionName } = samples[engine]
  return buildFunction(functionName, readTemplate().Resources[functionName])
}

/**
 * Starts the built sample function against the stack, as `template.yaml` configures it.
 *
 * @param environment Changes to its environment variables, for example another `PGUSER`.
 */
export function startSample(
  stack: Stack,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<FunctionProcess> {
  const { Handler, MemorySize, Timeout } = readTemplate().Resources[stack.functionName].Properties
  return startFunction({
    name: stack.functionName,
    folder,
    handler: Handler,
    memorySize: MemorySize,
    timeoutMs: Timeout * 1000,
    environment: { ...standInIdentity, ...stack.functionEnvironment('localhost'), ...environment },
  })
}
