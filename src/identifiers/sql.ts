/**
 * Quotes a name for PostgreSQL.
 *
 * @example quotePostgresName('Orders app') // '"Orders app"'
 * @see https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
 */
export function quotePostgresName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * Quotes a text for PostgreSQL. In a plain text, a setting decides whether a backslash escapes. A text with a
 * backslash is therefore written as `E'…'`, in which it always does.
 *
 * @example quotePostgresText("Ada's orders") // "'Ada''s orders'"
 */
export function quotePostgresText(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

/**
 * Quotes a name for MySQL and MariaDB.
 *
 * @example quoteMysqlName('orders app') // '`orders app`'
 * @see https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
 */
export function quoteMysqlName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/**
 * Quotes a user who may come from any host: `'orders_app'@'%'`. In a text, a setting decides whether a
 * backslash escapes; in a name it never does. A user with a backslash is therefore quoted as a name.
 *
 * @example quoteMysqlAccount('orders_app') // "'orders_app'@'%'"
 * @see https://dev.mysql.com/doc/refman/8.4/en/account-names.html
 */
export function quoteMysqlAccount(user: string): string {
  return `${user.includes('\\') ? quoteMysqlName(user) : `'${user.replaceAll("'", "''")}'`}@'%'`
}

/**
 * The statements that create a database user for IAM.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export const iamUserStatements = {
  postgres: (user: string): readonly string[] => {
    const name = quotePostgresName(user)
    return [`CREATE USER ${name};`, `GRANT rds_iam TO ${name};`]
  },
  /** In one statement, so that the user is never there without `REQUIRE SSL`. */
  mysql: (user: string, ifNotExists = false): readonly string[] => {
    const account = `${ifNotExists ? 'IF NOT EXISTS ' : ''}${quoteMysqlAccount(user)}`
    return [`CREATE USER ${account} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;`]
  },
}
