import { after } from 'node:test'
import type { MysqlKind } from '../../kit/src/database/mysql-program.ts'
import type { Database, Decision, Gateway, GatewayOptions } from '../../kit/src/index.ts'
import { startGateway } from './gateway.ts'
import { startDatabase } from './servers.ts'

export { findMysqlKinds } from './servers.ts'

/** The key pair that the gateway knows unless told otherwise. */
export const credentials = { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' }

/** A gateway, and what the options of a middleware need to reach the database behind it. */
export interface Gated {
  readonly gateway: Gateway
  readonly decisions: readonly Decision[]
  readonly options: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly database: string
    readonly region: string
    readonly tls: { readonly ca: string }
    readonly credentials: typeof credentials
  }
}

/** Starts a gateway of its own, so that its counts are one test's alone. */
export type Gate = (options?: Partial<GatewayOptions>) => Promise<Gated>

/** The server behind the gateways, for one test file. */
export interface TestServer {
  /** For example `5.6.24`. */
  readonly version: string
  readonly port: number
  /** Runs SQL as the superuser in the one database that there is. */
  query(sql: string, database?: 'notes'): Promise<Record<string, unknown>[]>
}

const common = { users: ['notes_app'], database: 'notes', setup: 'CREATE TABLE note (text text)' }

/** A real PostgreSQL for one test file, stopped after its last test. */
export async function usePostgres(): Promise<{ readonly postgres: TestServer; readonly gate: Gate }> {
  const database = await startDatabase({ engine: 'postgres', ...common })
  return { postgres: serverOf(database), gate: useGates(database) }
}

/** A real MySQL or MariaDB for one test file, stopped after its last test. */
export async function useMysql(
  kind?: MysqlKind,
): Promise<{ readonly mysql: TestServer; readonly gate: Gate }> {
  const database = await startDatabase({ engine: 'mysql', kind, ...common })
  return { mysql: serverOf(database), gate: useGates(database) }
}

function serverOf({ server, upstream, query }: Database): TestServer {
  return { version: server.split(' ')[1] ?? '', port: upstream.port, query }
}

function useGates({ engine, upstream, user, database, region, close }: Database): Gate {
  const gateways: Gateway[] = []
  after(async () => {
    await Promise.all(gateways.map(gateway => gateway.close()))
    await close()
  })
  return async (options = {}) => {
    const decisions: Decision[] = []
    const gateway = await startGateway({
      engine,
      upstream,
      region,
      ...options,
      onDecision: decision => {
        decisions.push(decision)
        options.onDecision?.(decision)
      },
    })
    gateways.push(gateway)
    const address = { host: 'localhost', port: gateway.port, user, database, region }
    return { gateway, decisions, options: { ...address, tls: { ca: gateway.ca }, credentials } }
  }
}
