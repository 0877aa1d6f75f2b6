import { quoteMysqlAccount, quoteMysqlName } from 'middy-rds-iam/identifiers'
import type { Server } from './server.ts'
import { runSetup } from './setup.ts'

/**
 * Creates a database, and database users.
 *
 * On Amazon RDS a user is `CREATE USER 'orders_app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'
 * REQUIRE SSL`. No other server has that plugin: here the user has no password, and the gateway, which alone
 * speaks to this server, is what asks for TLS and a token.
 *
 * @param users May do everything in the database. Those that the setup creates may do what it lets them do.
 * @param setup SQL that is run in the database before.
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where the setup fails.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export async function createMysqlDatabase(
  server: Pick<Server, 'query'>,
  database: string,
  users: readonly string[] = [],
  setup = '',
): Promise<void> {
  await server.query(`CREATE DATABASE ${quoteMysqlName(database)} CHARACTER SET utf8mb4`)
  if (setup !== '') await runSetup(server, database, setup)
  const rows = await server.query('SELECT user AS name FROM mysql.user')
  const present = new Set(rows.map(({ name }) => name))
  // In a GRANT, the name of a database is a pattern.
  const pattern = quoteMysqlName(database.replace(/[\\_%]/g, '\\$&'))
  for (const account of users.filter(user => !present.has(user)).map(quoteMysqlAccount)) {
    await server.query(`CREATE USER ${account}`)
    await server.query(`GRANT ALL PRIVILEGES ON ${pattern}.* TO ${account}`)
  }
}
