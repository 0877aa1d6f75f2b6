/** Roles and users that RDS and the engines keep for themselves. */
const ownNames = new Set([
  ...['rdsadmin', 'rds_iam', 'rds_superuser', 'rds_password', 'rds_replication', 'rds_ad', 'rdsrepladmin'],
  ...['rdstopmgr', 'rdsproxyadmin', 'rdswriteforwarduser', 'rds_superuser_role'],
  ...['mysql.sys', 'mysql.session', 'mysql.infoschema', 'mariadb.sys'],
])

/**
 * Says what is wrong with the name of a database user and what to do, as a clause; `undefined` if it is
 * right. Quoting makes every character safe. This check finds the names that a server would reject or change.
 *
 * @example
 * ```ts
 * userNameProblem('postgres', 'public')
 * // 'is a word that PostgreSQL takes for no user, quoted or not; take another name'
 * ```
 */
export function userNameProblem(engine: unknown, value: unknown): string | undefined {
  if (value === undefined) return 'is missing; give the name of the database user'
  if (typeof value !== 'string' || value === '')
    return 'is not the name of a database user, a text that is not empty'
  if (value.includes('\0')) return 'has a NUL character in it, which no database takes'
  if (/\p{Surrogate}/u.test(value)) return 'is no well-formed text: half of a character is missing'
  if (engine === 'postgres') return postgresNameProblem(value)
  return engine === 'mysql' ? mysqlNameProblem(value) : undefined
}

function postgresNameProblem(name: string): string | undefined {
  // https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
  const bytes = Buffer.byteLength(name)
  if (bytes > 63) return `has ${bytes} bytes in UTF-8, and PostgreSQL cuts a name off after 63; shorten it`
  // https://www.postgresql.org/docs/current/sql-createrole.html
  if (name.startsWith('pg_')) return 'begins with "pg_", which PostgreSQL keeps for itself; take another name'
  if (name === 'public' || name === 'none')
    return 'is a word that PostgreSQL takes for no user, quoted or not; take another name'
  return undefined
}

function mysqlNameProblem(name: string): string | undefined {
  // https://dev.mysql.com/doc/refman/8.4/en/user-names.html; MariaDB takes longer ones.
  if (name.length > 32) return `has ${name.length} characters, and MySQL takes 32; shorten it`
  // https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
  if (/[\u{10000}-\u{10FFFF}]/u.test(name))
    return 'has a character outside the Basic Multilingual Plane, an emoji for example, which MySQL takes in no name'
  if (/^[ \t-\r]|[ \t-\r]$/.test(name))
    return 'begins or ends with a space, which MySQL cuts off; take it away'
  return undefined
}

/**
 * Says why a name cannot be an IAM user's, as a clause; `undefined` if it can.
 *
 * @example
 * ```ts
 * takenNameProblem('rdsadmin', 'postgres')
 * // 'is a name that RDS or the engine has for itself; take another one'
 * ```
 */
export function takenNameProblem(user: unknown, masterUser: unknown): string | undefined {
  if (typeof user !== 'string') return undefined
  if (typeof masterUser === 'string' && user.toLowerCase() === masterUser.toLowerCase())
    return 'is the master user, whom IAM must neither decide about nor take away; take a user of its own'
  return ownNames.has(user) ? 'is a name that RDS or the engine has for itself; take another one' : undefined
}
