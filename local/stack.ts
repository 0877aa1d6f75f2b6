import type { MysqlKind } from '../kit/src/database/mysql.ts'
import {
  type Decision,
  type Gateway,
  type GatewayOptions,
  type GatewayPolicy,
  readTemplatePolicy,
  startGateway,
} from '../kit/src/index.ts'
import { buildFunction } from './build-function.ts'
import { type FunctionProcess, startFunction } from './function-process.ts'
import {
  databaseName,
  type EngineName,
  type SampleDatabase,
  startSampleDatabase,
  userName,
} from './sample-database.ts'
import { type FunctionName, readTemplate, type Template } from './template.ts'

export { MysqlUnavailable } from '../kit/src/database/mysql.ts'
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

/** What takes the place of AWS on this machine: the sample's database and, in front of it, the gateway. */
export interface Stack extends Sample, Pick<SampleDatabase, 'server' | 'query' | 'stop'> {
  readonly engine: EngineName
  readonly gateway: Gateway
  /** All that the gateway decided so far. */
  readonly decisions: readonly Decision[]
  /** The environment variables that `template.yaml` declares, filled in for a function that reaches the gateway as `host`. */
  functionEnvironment(host: string): Record<string, string>
}

/** Where the gateway listens and tells its decisions, which server it must be for `mysql`, and whose policy it evaluates. */
export interface StackOptions extends Pick<GatewayOptions, 'host' | 'port' | 'onDecision'> {
  readonly kind?: MysqlKind | undefined
  /** @default the one in the checkout */
  readonly template?: Template | undefined
}

/** An IAM user of the database whom the template's policy does not name. */
export const otherUserName = 'notes_reader'

/** The Region and the credentials of a function on this machine: those of `sam local invoke` without an AWS account. */
export const standInIdentity = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'defaultkey',
  AWS_SECRET_ACCESS_KEY: 'defaultsecret',
} as const

/**
 * Starts a server with the sample's database, and the gateway in front of it.
 *
 * @throws {MysqlUnavailable} Where there is no MySQL or MariaDB on this machine.
 */
export async function startStack(
  engine: EngineName,
  { kind, template = readTemplate(), onDecision, ...address }: StackOptions = {},
): Promise<Stack> {
  const decisions: Decision[] = []
  const { server, port, query, stop } = await startSampleDatabase(engine, kind)
  try {
    const gateway = await startGateway({
      ...address,
      engine,
      upstream: { port },
      region: standInIdentity.AWS_REGION,
      users: [userName, otherUserName],
      policy: policyOf(template, engine),
      onDecision: decision => {
        decisions.push(decision)
        onDecision?.(decision)
      },
    })
    const { functionName, variables } = samples[engine]
    return {
      engine,
      functionName,
      variables,
      server,
      gateway,
      decisions,
      query,
      functionEnvironment: host => ({
        [variables.host]: host,
        [variables.port]: String(gateway.port),
        [variables.user]: userName,
        [variables.database]: databaseName,
        DATABASE_CA: gateway.ca,
      }),
      stop: async () => {
        await gateway.close()
        await stop()
      },
    }
  } catch (error) {
    await stop()
    throw error
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
