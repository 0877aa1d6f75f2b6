import { after } from 'node:test'
import { createIamDatabase } from '../../kit/src/database/iam-database.ts'
import { createIamMysqlDatabase } from '../../kit/src/database/iam-mysql-database.ts'
import { type Mysql, type MysqlKind, startMysql } from '../../kit/src/database/mysql.ts'
import { findMysqlProgram, MysqlUnavailable } from '../../kit/src/database/mysql-program.ts'
import { type Postgres, startPostgres } from '../../kit/src/database/postgres.ts'
import { type Decision, type Gateway, type GatewayOptions, startGateway } from '../../kit/src/index.ts'

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

/** A real PostgreSQL for one test file, stopped after its last test. */
export async function usePostgres(): Promise<{ readonly postgres: Postgres; readonly gate: Gate }> {
  const postgres = await startPostgres()
  const { database, user } = await createIamDatabase(postgres)
  await postgres.query(`CREATE TABLE note (text text); GRANT ALL ON note TO ${user}`, database)
  return { postgres, gate: useGates(postgres, 'postgres', { database, user }) }
}

/** A real MySQL or MariaDB for one test file, stopped after its last test. */
export async function useMysql(kind?: MysqlKind): Promise<{ readonly mysql: Mysql; readonly gate: Gate }> {
  const mysql = await startMysql(kind === undefined ? {} : { kind })
  const { database, user } = await createIamMysqlDatabase(mysql)
  await mysql.query('CREATE TABLE note (text text) ENGINE=InnoDB', database)
  return { mysql, gate: useGates(mysql, 'mysql', { database, user }) }
}

/** The servers of this machine that speak MySQL's protocol, or none and why. */
export function findMysqlKinds(): { readonly kinds: readonly MysqlKind[]; readonly missing: string } {
  const kinds: MysqlKind[] = []
  const missing: string[] = []
  for (const kind of ['mysql', 'mariadb'] as const) {
    try {
      findMysqlProgram(kind)
      kinds.push(kind)
    } catch (error) {
      if (!(error instanceof MysqlUnavailable)) throw error
      missing.push(error.message)
    }
  }
  return { kinds, missing: missing.join('; ') }
}

function useGates(
  server: { readonly port: number; stop(): Promise<unknown> },
  engine: 'postgres' | 'mysql',
  { database, user }: { readonly database: string; readonly user: string },
): Gate {
  const gateways: Gateway[] = []
  after(async () => {
    await Promise.all(gateways.map(gateway => gateway.close()))
    await server.stop()
  })
  return async (options = {}) => {
    const decisions: Decision[] = []
    const region = 'eu-west-1'
    const gateway = await startGateway({
      engine,
      upstream: { port: server.port },
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
