/** What a client needs to reach a database. */
export interface ClientTarget {
  readonly engine: 'postgres' | 'mysql'
  readonly host: string
  readonly port: number
  readonly user: string
  readonly token: string
  /** @default the user's name, as PostgreSQL has it; with MySQL none */
  readonly database?: string | undefined
  /** The authorities to verify the server against. What is missing, a client has to know already. */
  readonly trust: {
    /** The path of a file of them. */
    readonly file?: string | undefined
    /** The same as text, PEM. */
    readonly text?: string | undefined
  }
}

/**
 * Writes a URL with which the server is verified: of PostgreSQL as libpq has it, which `pg` and many others take
 * as well; of MySQL as `mysql2` has it, because there are no parameters that tools of MySQL agree about.
 *
 * @example
 * `postgresql://orders_app:…@orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders?sslmode=verify-full&sslrootcert=…`
 * @see https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 * @see https://sidorares.github.io/node-mysql2/docs/examples/connections/create-connection
 */
export function formatDatabaseUrl(target: ClientTarget): string {
  const { engine, host, port, user, token } = target
  const encode = encodeURIComponent
  const query = Object.entries(parameters[engine](target)).map(([name, value]) => `${name}=${encode(value)}`)
  const scheme = engine === 'postgres' ? 'postgresql' : 'mysql'
  const address = `${encode(user)}:${encode(token)}@${host}:${port}/${encode(databaseOf(target))}`
  return `${scheme}://${address}?${query.join('&')}`
}

/** The database's name, empty for none. */
export function databaseOf({ engine, user, database }: ClientTarget): string {
  return database ?? (engine === 'postgres' ? user : '')
}

const parameters = {
  postgres: ({ trust: { file } }: ClientTarget): Record<string, string> => ({
    sslmode: 'verify-full',
    ...(file !== undefined && { sslrootcert: file }),
  }),
  mysql: ({ trust: { text: ca } }: ClientTarget): Record<string, string> => ({
    // Without `verifyIdentity`, any certificate of these authorities would do.
    ssl: JSON.stringify({ ...(ca !== undefined && { ca }), rejectUnauthorized: true, verifyIdentity: true }),
    enableCleartextPlugin: 'true',
  }),
} as const
