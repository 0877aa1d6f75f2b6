import { mysqlFailures } from '../errors/mysql-failures.ts'
import { caVariables } from './environment.ts'
import type { Engine } from './settings.ts'

/** The options of mysql2 that this package decides about. */
export type OwnedOption = keyof typeof ownedClientOptions

const besides = 'give it beside `client`'
const noPassword = 'an authentication token takes its place'
const noWayRound = 'it would get round the verification of the server'

const ownedClientOptions = {
  host: besides,
  port: besides,
  user: besides,
  database: besides,
  uri: 'give `host`, `port`, `user` and `database`',
  socketPath: 'RDS is reached over TCP: give `host`',
  password: noPassword,
  password1: noPassword,
  password2: noPassword,
  password3: noPassword,
  passwordSha1: noPassword,
  ssl: 'TLS is always on and verified; `tls.ca` adds trust',
  authPlugins: noWayRound,
  authSwitchHandler: noWayRound,
  enableCleartextPlugin: 'the token is sent in clear text over verified TLS, and over nothing else',
  insecureAuth: noWayRound,
  stream: noWayRound,
  isServer: noWayRound,
  pool: noWayRound,
  debug: 'it would print authentication tokens',
  connectTimeout: 'give `connectTimeoutMs`',
  connectionLimit: 'give `max`',
  resetOnRelease: 'give `resetSession`',
  Promise: 'promises are those of Node',
} as const

export const mysqlEngine: Omit<Engine, 'factory'> = {
  defaultPort: 3306,
  environment: {
    host: 'MYSQL_HOST',
    port: 'MYSQL_TCP_PORT',
    user: 'MYSQL_USER',
    database: 'MYSQL_DATABASE',
  },
  caVariable: caVariables.mysql,
  // A session needs none.
  defaultDatabase: () => '',
  ownedClientOptions,
  failures: mysqlFailures,
}
