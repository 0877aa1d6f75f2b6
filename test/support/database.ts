import { after } from 'node:test'
import type { MysqlKind } from '../../kit/src/database/mysql-program.ts'
import type { Decision, Gateway, GatewayOptions } from '../../kit/src/index.ts'
import { startGateway } from './gateway.ts'
import { type OpenDatabase, startOwnMysqlDatabase, startOwnPostgresDatabase } from './own-database.ts'
import { hasOwnLogin, startDatabase } from './servers.ts'

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

/**
 * Starts a gateway of its own, so that its counts are one test's alone; or, where the server asks for tokens by
 * itself, what counts in the place of a gateway.
 */
export type Gate = (options?: Partial<GatewayOptions>) => Promise<Gated>

/** The server behind the gateways, for one test file. */
export interface TestServer {
  /** For example `5.6.24`. */
  readonly version: string
  readonly port: number
  /** Runs SQL as the superuser in the one database that there is. */
  query(sql: string, database?: 'notes'): Promise<Record<string, unknown>[]>
}

const user = 'notes_app'
const region = 'eu-west-1'
const common = { users: [user], database: 'notes', region, setup: 'CREATE TABLE note (text text)' }

/** A real PostgreSQL for one test file, stopped after its last test. */
export async function usePostgres(): Promise<{ readonly postgres: TestServer; readonly gate: Gate }> {
  const { server, gate } = await useServer('postgres', () => startOwnPostgresDatabase(common))
  return { postgres: server, gate }
}

/** A real MySQL or MariaDB for one test file, stopped after its last test. */
export async function useMysql(
  kind: MysqlKind,
): Promise<{ readonly mysql: TestServer; readonly gate: Gate }> {
  const { server, gate } = await useServer('mysql', () => startOwnMysqlDatabase(kind, common), kind)
  return { mysql: server, gate }
}

async function useServer(
  engine: 'postgres' | 'mysql',
  startOwn: () => Promise<OpenDatabase>,
  kind?: MysqlKind,
): Promise<{ readonly server: TestServer; readonly gate: Gate }> {
  const gateways: Gateway[] = []
  after(() => Promise.all(gateways.map(gateway => gateway.close())))
  const { name, port, query, startGate } = hasOwnLogin ? await startOwn() : await startGated(engine, kind)
  const gate: Gate = async (options = {}) => {
    const decisions: Decision[] = []
    const gateway = await startGate({
      engine,
      upstream: { port },
      region,
      ...options,
      onDecision: decision => {
        decisions.push(decision)
        options.onDecision?.(decision)
      },
    })
    gateways.push(gateway)
    const address = { host: 'localhost', port: gateway.port, user, database: common.database, region }
    return { gateway, decisions, options: { ...address, tls: { ca: gateway.ca }, credentials } }
  }
  return { server: { version: name.split(' ')[1] ?? '', port, query }, gate }
}

/** A database that gateways stand before. */
async function startGated(engine: 'postgres' | 'mysql', kind?: MysqlKind): Promise<OpenDatabase> {
  const { server, upstream, query, close } = await startDatabase({ engine, kind, ...common })
  after(close)
  return { name: server, port: upstream.port, query, startGate: startGateway }
}
