import { type Decision, type Gateway, type GatewayOptions, startGateway } from '../src/gateway/index.ts'
import { buildFunction } from './build-function.ts'
import { type FunctionProcess, startFunction } from './function-process.ts'
import { createNotesDatabase } from './iam-database.ts'
import { startPostgres } from './postgres.ts'
import { readTemplate } from './template.ts'

/** The name that `template.yaml` gives the sample function. */
export const functionName = 'NotesFunction'

/** What takes the place of AWS on this machine: the sample's database and, in front of it, the gateway. */
export interface Stack {
  readonly gateway: Gateway
  /** All that the gateway decided so far. */
  readonly decisions: readonly Decision[]
  /** Runs SQL in the sample's database as the superuser. */
  query(sql: string): Promise<Record<string, unknown>[]>
  /** The environment variables that `template.yaml` declares, filled in for a function that reaches the gateway as `host`. */
  functionEnvironment(host: string): Record<string, string>
  stop(): Promise<void>
}

/** The Region and the credentials of a function on this machine: those of `sam local invoke` without an AWS account. */
export const standInIdentity = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'defaultkey',
  AWS_SECRET_ACCESS_KEY: 'defaultsecret',
} as const

/** Starts PostgreSQL with the sample's database, and the gateway in front of it. */
export async function startStack({
  onDecision,
  ...address
}: Pick<GatewayOptions, 'host' | 'port' | 'onDecision'> = {}): Promise<Stack> {
  const decisions: Decision[] = []
  const postgres = await startPostgres()
  try {
    const { database, user } = await createNotesDatabase(postgres)
    const gateway = await startGateway({
      ...address,
      upstream: { port: postgres.port },
      region: standInIdentity.AWS_REGION,
      users: [user],
      onDecision: decision => {
        decisions.push(decision)
        onDecision?.(decision)
      },
    })
    return {
      gateway,
      decisions,
      query: sql => postgres.query(sql, database),
      functionEnvironment: host => ({
        PGHOST: host,
        PGPORT: String(gateway.port),
        PGUSER: user,
        PGDATABASE: database,
        DATABASE_CA: gateway.ca,
      }),
      stop: async () => {
        await gateway.close()
        await postgres.stop()
      },
    }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}

/** Bundles the sample function. @returns The folder that holds it. */
export function buildSample(): Promise<string> {
  return buildFunction(functionName, readTemplate().Resources.NotesFunction)
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
  const { Handler, MemorySize, Timeout } = readTemplate().Resources.NotesFunction.Properties
  return startFunction({
    name: functionName,
    folder,
    handler: Handler,
    memorySize: MemorySize,
    timeoutMs: Timeout * 1000,
    environment: { ...standInIdentity, ...stack.functionEnvironment('localhost'), ...environment },
  })
}
