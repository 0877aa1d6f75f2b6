import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Connect } from '../../../src/drivers/driver.ts'
import { createMysqlConnect } from '../../../src/drivers/mysql2/driver.ts'
import { createPgConnect } from '../../../src/drivers/pg/driver.ts'
import { explain } from '../../../src/errors/explain.ts'
import type { TokenUse } from '../../../src/errors/failure.ts'
import { mysqlFailures } from '../../../src/errors/mysql-failures.ts'
import { postgresFailures } from '../../../src/errors/postgres-failures.ts'
import { RdsIamError } from '../../../src/errors/rds-iam-error.ts'
import type { RdsIamOptions } from '../../../src/options/options.ts'
import { type Engine, readSettings, type Settings } from '../../../src/options/settings.ts'
import { createAttemptToken } from '../../../src/token/attempt-token.ts'
import { createTokenCache } from '../../../src/token/cache.ts'
import { createSigner } from '../../../src/token/signer.ts'
import { createTrust } from '../../../src/trust/verified-tls.ts'
import { credentials } from '../../support/database.ts'
import { account, driverCodeOf, type EngineName, findFailure, fitsLiteral, target } from './known.ts'

const none = { host: 'NONE', port: 'NONE', user: 'NONE', database: 'NONE' }
const common = { environment: none, defaultDatabase: () => '', ownedClientOptions: {} }
const engines = {
  postgres: {
    ...common,
    factory: 'iamPg',
    defaultPort: 5432,
    caVariable: 'PGSSLROOTCERT',
    failures: postgresFailures,
  },
  mysql: {
    ...common,
    factory: 'iamMysql',
    defaultPort: 3306,
    caVariable: 'PGSSLROOTCERT',
    failures: mysqlFailures,
  },
} satisfies Record<EngineName, Engine>

const drivers: Readonly<Record<EngineName, (settings: Settings) => Connect<object>>> = {
  postgres: createPgConnect,
  mysql: createMysqlConnect,
}

export type Options = RdsIamOptions & { readonly client?: object }

/** What nearly every attempt here is made with. */
export const usual = {
  host: 'localhost',
  user: target.user,
  database: target.database,
  region: target.region,
  credentials,
  // Nothing here waits for its end but what is to wait for it.
  connectTimeoutMs: 60_000,
} as const

/**
 * Connects once, as a middleware does but for its trying again, and holds what comes of it against the table: the driver's error has the
 * row's words and code, and the user reads what was attempted, what was observed and what to check.
 */
export async function assertFails(
  engine: EngineName,
  literal: string,
  options: Options,
  use?: TokenUse,
): Promise<void> {
  const row = findFailure(engine, literal, use)
  assert.ok(['server', 'pooler'].includes(row.from), `the table calls this failure ${row.from}`)
  const settings = readSettings(engines[engine], { ...usual, ...options })
  const { user, host, port, database, region, endpoint } = settings
  const named = (text: string) => text.replaceAll(target.user, user).replace(/\borders\b/g, database)

  const { cause, token } = await connect(engine, settings)
  assert.ok(fitsLiteral(cause.message, named(row.message)), inspect(cause))
  assert.equal((cause as NodeJS.ErrnoException).code, driverCodeOf(row, engine), inspect(cause))

  if (row.token !== undefined) assert.equal(token, row.token)
  const error = explain(cause, { ...settings, account, token })
  assert.ok(error instanceof RdsIamError)
  assert.equal(error.code, row.code, error.message)
  assert.equal(error.cause, cause)
  const via = endpoint.host === host ? '' : ` (${endpoint.host})`
  const attempted = `Could not connect as ${user}@${host}:${port}/${database}${via} in ${region}: ${cause.message.trim()}`
  assert.ok(error.message.startsWith(attempted), error.message)
  assert.match(error.message, new RegExp(named(row.check.source)))
}

/** What the driver failed with, and what had become of the token. */
async function connect(
  engine: EngineName,
  settings: Settings,
): Promise<{ readonly cause: Error; readonly token: TokenUse }> {
  const { endpoint, region, user, signer } = settings
  const request = { ...endpoint, region, user }
  const tokens = createTokenCache(createSigner({ request, credentials: settings.credentials, signer }), 0)
  const tls = await createTrust(settings).load()
  const connect = drivers[engine](settings)
  const token = createAttemptToken(tokens)
  return connect({ tls, token: token.take, timeoutMs: settings.connectTimeoutMs }).then(
    ({ session }) => {
      session.close()
      return assert.fail('it connected')
    },
    cause => ({ cause, token: token.use() }),
  )
}
