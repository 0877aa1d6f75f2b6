import { type ClientTarget, databaseOf, formatDatabaseUrl } from './database-url.ts'

/** Environment variables by name; an empty one is to be unset. */
export type ClientEnvironment = Readonly<Record<string, string>>

/**
 * The environment variables that clients of a database read, and tools that take a URL.
 *
 * @see https://www.postgresql.org/docs/18/libpq-envars.html
 * @see https://dev.mysql.com/doc/refman/8.4/en/environment-variables.html
 */
export function clientEnvironment(target: ClientTarget): ClientEnvironment {
  return { ...variables[target.engine](target), DATABASE_URL: formatDatabaseUrl(target) }
}

/**
 * The same for a proxy, where no TLS is spoken.
 *
 * @param environment The proxy's own.
 */
export function proxyEnvironment(
  engine: ClientTarget['engine'],
  environment: ClientEnvironment,
): ClientEnvironment {
  return { ...unsetForProxy[engine], ...environment }
}

const variables = {
  postgres: (target: ClientTarget): ClientEnvironment => ({
    ...elsewhere,
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGPASSWORD: target.token,
    PGDATABASE: databaseOf(target),
    PGSSLMODE: 'verify-full',
    ...(target.trust.file !== undefined && { PGSSLROOTCERT: target.trust.file }),
  }),
  mysql: (target: ClientTarget): ClientEnvironment => ({
    MYSQL_HOST: target.host,
    MYSQL_TCP_PORT: String(target.port),
    MYSQL_USER: target.user,
    MYSQL_PWD: target.token,
    MYSQL_DATABASE: databaseOf(target),
    ...(target.trust.file !== undefined && { MYSQL_SSL_CA: target.trust.file }),
  }),
} as const

/** libpq would take the settings of a service, and an address, before what is said here. */
const elsewhere: ClientEnvironment = { PGSERVICE: '', PGHOSTADDR: '' }

const unsetForProxy = {
  // With each of them, libpq would insist on TLS or on what comes with it.
  postgres: { ...elsewhere, PGSSLROOTCERT: '', PGSSLNEGOTIATION: '', PGCHANNELBINDING: '' },
  mysql: { MYSQL_SSL_CA: '' },
} as const
