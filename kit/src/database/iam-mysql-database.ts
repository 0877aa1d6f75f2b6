import mysql from 'mysql2'
import type { IamDatabase } from './iam-database.ts'
import type { Mysql } from './mysql.ts'

/**
 * Creates a database, and a database user that owns what is in it.
 *
 * On Amazon RDS the user is `CREATE USER 'notes_app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL`. No
 * other server has that plugin: here the user has no password, and the gateway, which alone speaks to this server, is what
 * asks for TLS and a token.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export async function createIamMysqlDatabase(
  server: Mysql,
  { database = 'notes', user = 'notes_app' }: Partial<IamDatabase> = {},
): Promise<IamDatabase> {
  const quotedUser = `${mysql.escape(user)}@'%'`
  await server.query(`CREATE DATABASE ${mysql.escapeId(database, true)} CHARACTER SET utf8mb4`)
  await server.query(`CREATE USER ${quotedUser}`)
  // In a GRANT, the name of a database is a pattern.
  const pattern = mysql.escapeId(database.replace(/[\\_%]/g, '\\$&'), true)
  await server.query(`GRANT ALL PRIVILEGES ON ${pattern}.* TO ${quotedUser}`)
  return { database, user }
}
