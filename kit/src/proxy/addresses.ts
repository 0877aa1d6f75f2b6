import type { ProxySettings } from './settings.ts'

/** What tells clients where a proxy is. */
export interface Addresses {
  readonly url: string
  readonly environment: Readonly<Record<string, string>>
}

/** Where a proxy listens, and whom it lets in. */
type Reached = Pick<ProxySettings, 'engine' | 'password'> & {
  readonly host: string
  readonly port: number
  readonly socket: string | undefined
  readonly user: string
  readonly database: string
}

/**
 * The URL of a proxy, and the environment variables that clients read. There is no TLS on this side, which
 * some clients of PostgreSQL would insist on.
 *
 * @see https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 * @see https://www.postgresql.org/docs/18/libpq-envars.html
 * @see https://dev.mysql.com/doc/refman/8.4/en/environment-variables.html
 */
export function addressesOf(reached: Reached): Addresses {
  const { engine, host, port, socket, user, password, database } = reached
  const encode = encodeURIComponent
  const login = `${encode(user)}${password === undefined ? '' : `:${encode(password)}`}`
  const name = host.includes(':') ? `[${host}]` : host
  if (engine === 'postgres') {
    const parameters = socket === undefined ? '' : `host=${encode(host)}&port=${port}&`
    const address = socket === undefined ? `${name}:${port}` : 'localhost'
    const url = `postgres://${login}@${address}/${encode(database)}?${parameters}sslmode=disable`
    return {
      url,
      environment: {
        PGHOST: host,
        PGPORT: String(port),
        PGUSER: user,
        PGPASSWORD: password ?? '',
        PGDATABASE: database,
        PGSSLMODE: 'disable',
        DATABASE_URL: url,
      },
    }
  }
  const address = socket === undefined ? `${name}:${port}` : 'localhost'
  const parameters = socket === undefined ? '' : `?socketPath=${encode(socket)}`
  const url = `mysql://${login}@${address}/${encode(database)}${parameters}`
  return {
    url,
    environment: {
      MYSQL_HOST: host,
      ...(socket === undefined ? { MYSQL_TCP_PORT: String(port) } : { MYSQL_UNIX_PORT: socket }),
      MYSQL_USER: user,
      MYSQL_PWD: password ?? '',
      MYSQL_DATABASE: database,
      DATABASE_URL: url,
    },
  }
}
