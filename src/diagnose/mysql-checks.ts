import { quoteMysqlAccount } from '../identifiers/sql.ts'
import { compareWithDatabase } from './clock-step.ts'
import type { DatabaseCheck, Look, Row } from './diagnosed-engine.ts'
import type { Outcome } from './steps.ts'
import { compareSessions } from './tls-session.ts'

const done = { value: undefined }

/** The checks inside MySQL and MariaDB. */
export const mysqlChecks: readonly DatabaseCheck[] = [
  { name: 'session', run: describeSession },
  { name: 'clock', run: look => compareWithDatabase(() => readTime(look)) },
  { name: 'iam-user', run: checkPlugin },
  { name: 'encryption', run: checkEncryption },
  { name: 'forced-tls', run: checkForcedTls },
  { name: 'version', run: readVersion },
  { name: 'writes', run: checkWrites },
]

async function describeSession({ query, settings }: Look): Promise<Outcome> {
  const [row] = await query('SELECT CURRENT_USER() AS user, DATABASE() AS `database`')
  const user = row?.user ?? ''
  const database = row?.database ?? ''
  const finding = `${user}${database === '' ? ', in no database' : ` in the database ${database}`}`
  const details = { user, database }
  if (user.slice(0, user.lastIndexOf('@')) === settings.user) return { finding, details, ...done }
  const remedy = `The server takes ${settings.user} for another user: an anonymous one, or a proxied one. Check \`SELECT user, host FROM mysql.user\`.`
  return { status: 'warning', finding, remedy, details, ...done }
}

async function readTime({ query }: Look): Promise<number> {
  const [row] = await query('SELECT UTC_TIMESTAMP(6) AS utc')
  return Date.parse(`${row?.utc?.replace(' ', 'T')}Z`)
}

/**
 * The authentication plugin of RDS.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
const iamPlugin = 'AWSAuthenticationPlugin'

async function checkPlugin(look: Look): Promise<Outcome> {
  const user = await readUser(look)
  if (user === undefined)
    return {
      status: 'unknown',
      finding: 'not readable: the server does not tell this user how it is authenticated',
      ...done,
    }
  const { plugin, requires } = user
  const name = quoteMysqlAccount(look.settings.user)
  const details = { plugin, requires }
  const finding = `identified with ${plugin}, requires ${requires}`
  if (plugin !== iamPlugin)
    return {
      status: 'warning',
      finding: `${finding}: it is not IAM that decides about this user`,
      remedy: `Run \`ALTER USER ${name} IDENTIFIED WITH ${iamPlugin} AS 'RDS' REQUIRE SSL;\` as the master user. A server that is not on RDS has no such plugin.`,
      details,
      ...done,
    }
  if (requires !== 'NONE') return { finding, details, ...done }
  return {
    status: 'warning',
    finding,
    remedy: `Run \`ALTER USER ${name} REQUIRE SSL;\` as the master user.`,
    details,
    ...done,
  }
}

/**
 * Reads how the user is authenticated, by the first statement that the server allows. The statements show
 * hashes of passwords too; these are dropped here.
 */
async function readUser({ query }: Look): Promise<{ plugin: string; requires: string } | undefined> {
  const read = (sql: string) => query(sql).catch(() => [] as readonly Row[])
  // In MySQL 5.7, MariaDB 10.2 and later, every user may ask about itself.
  const [shown] = await read('SHOW CREATE USER CURRENT_USER()')
  const statement = Object.values(shown ?? {})[0] ?? undefined
  if (statement !== undefined) {
    const [, named] = /\bIDENTIFIED (?:WITH|VIA) ['"`]?(\w+)/i.exec(statement) ?? []
    // MariaDB leaves out the name of its plugin for passwords:
    // https://mariadb.com/docs/server/reference/sql-statements/account-management-sql-statements/create-user
    const plugin =
      named ?? (/\bIDENTIFIED BY PASSWORD '\*/i.test(statement) ? 'mysql_native_password' : undefined)
    const [, requires] = /\bREQUIRE (\w+)/i.exec(statement) ?? []
    return { plugin: plugin ?? 'no plugin of its own', requires: requires?.toUpperCase() ?? 'NONE' }
  }
  const [row] = await read(
    "SELECT plugin, ssl_type AS requires FROM mysql.user WHERE CONCAT(user, '@', host) = CURRENT_USER()",
  )
  if (row === undefined) return undefined
  const requires = row.requires === 'ANY' ? 'SSL' : row.requires || 'NONE'
  return { plugin: row.plugin || 'no plugin of its own', requires }
}

async function checkEncryption({ query, tls }: Look): Promise<Outcome> {
  const rows = await query("SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')")
  const told = (name: string) => rows.find(row => row.Variable_name === name)?.Value || undefined
  const version = told('Ssl_version')
  return compareSessions(tls, version === undefined ? undefined : { version, cipher: told('Ssl_cipher') })
}

/** @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/mysql-ssl-connections.require-ssl.html */
async function checkForcedTls({ query }: Look): Promise<Outcome> {
  const [row] = await query("SHOW GLOBAL VARIABLES LIKE 'require_secure_transport'")
  if (row === undefined)
    return {
      status: 'unknown',
      finding: 'there is no parameter require_secure_transport in this version',
      ...done,
    }
  const details = { isForced: row.Value === 'ON' }
  if (details.isForced)
    return { finding: 'require_secure_transport is on: nobody connects without TLS', details, ...done }
  return {
    status: 'warning',
    finding: 'require_secure_transport is off: this connection is encrypted, and others need not be',
    remedy:
      "Set require_secure_transport to 1 in the database's parameter group; and `REQUIRE SSL` for each IAM user.",
    details,
    ...done,
  }
}

async function readVersion({ query }: Look): Promise<Outcome> {
  const [row] = await query('SELECT VERSION() AS version, @@version_comment AS comment')
  const version = row?.version ?? ''
  const comment = row?.comment ?? ''
  const product = /mariadb/i.test(`${version} ${comment}`) ? 'MariaDB' : 'MySQL'
  return { finding: `${product} ${version} (${comment})`, details: { product, version, comment }, ...done }
}

async function checkWrites({ query }: Look): Promise<Outcome> {
  const rows = await query("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'innodb_read_only')")
  const on = rows.filter(({ Value }) => Value !== 'OFF').map(row => row.Variable_name ?? '')
  const details = { isReadOnly: on.length > 0 }
  if (!details.isReadOnly) return { finding: 'takes writes', details, ...done }
  return {
    status: 'warning',
    finding: `read-only: ${on.join(' and ')} ${on.length === 1 ? 'is' : 'are'} on`,
    remedy:
      'For writing, connect to the writer: the endpoint of the instance or the cluster, not a replica or the reader endpoint.',
    details,
    ...done,
  }
}
