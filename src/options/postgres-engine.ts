import { postgresFailures } from '../errors/postgres-failures.ts'
import { caVariables } from './environment.ts'
import type { Engine } from './settings.ts'

/** The options of pg that this package decides about. */
export type OwnedOption = keyof typeof ownedClientOptions

const ownedClientOptions = {
  host: 'give it beside `client`',
  port: 'give it beside `client`',
  user: 'give it beside `client`',
  database: 'give it beside `client`',
  password: 'an authentication token takes its place',
  ssl: 'TLS is always on and verified; `tls.ca` adds trust',
  connectionString: 'give `host`, `port`, `user` and `database`',
  connection: 'it would get round the verification of the server',
  Client: 'it would get round the verification of the server',
  connectionTimeoutMillis: 'give `connectTimeoutMs`',
  max: 'give it beside `client`',
  poolSize: 'give `max`',
  target_session_attrs: 'give `targetSessionAttrs`',
  Promise: 'promises are those of Node',
  replication: 'IAM authentication does not cover replication connections',
} as const

export const postgresEngine: Omit<Engine, 'factory'> = {
  defaultPort: 5432,
  environment: { host: 'PGHOST', port: 'PGPORT', user: 'PGUSER', database: 'PGDATABASE' },
  caVariable: caVariables.postgres,
  // As PostgreSQL has it.
  defaultDatabase: user => user,
  ownedClientOptions,
  failures: postgresFailures,
}
