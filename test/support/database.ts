import { after } from 'node:test'
import { createIamDatabase } from '../../local/iam-database.ts'
import { type Postgres, startPostgres } from '../../local/postgres.ts'
import { type Decision, type Gateway, type GatewayOptions, startGateway } from '../../src/gateway/index.ts'

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

/** A real PostgreSQL for one test file, stopped after its last test. */
export async function usePostgres(): Promise<{
  readonly postgres: Postgres
  /** Starts a gateway of its own, so that its counts are one test's alone. */
  gate(options?: Partial<GatewayOptions>): Promise<Gated>
}> {
  const postgres = await startPostgres()
  const gateways: Gateway[] = []
  after(async () => {
    await Promise.all(gateways.map(gateway => gateway.close()))
    await postgres.stop()
  })
  const { database, user } = await createIamDatabase(postgres)
  await postgres.query(`CREATE TABLE note (text text); GRANT ALL ON note TO ${user}`, database)
  return {
    postgres,
    async gate(options = {}) {
      const decisions: Decision[] = []
      const region = 'eu-west-1'
      const gateway = await startGateway({
        upstream: { port: postgres.port },
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
    },
  }
}
