/** An identifier of PostgreSQL's. @see https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */
export function quotePostgresName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text of PostgreSQL's; whether a backslash escapes in a plain one is a setting, so one with a backslash says that it does. */
export function quotePostgresText(text: string): string {
  const quoted = text.replaceAll("'", "''")
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}

/** An identifier of MySQL's and MariaDB's. @see https://dev.mysql.com/doc/refman/8.4/en/identifiers.html */
export function quoteMysqlName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``
}

/**
 * A user from any host, `'orders_app'@'%'`. Whether a backslash escapes in a text is a setting, in an identifier it never does.
 *
 * @see https://dev.mysql.com/doc/refman/8.4/en/account-names.html
 */
export function quoteMysqlAccount(user: string): string {
  return `${user.includes('\\') ? quoteMysqlName(user) : `'${user.replaceAll("'", "''")}'`}@'%'`
}

/**
 * What makes an IAM user, one statement each.
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
