import { createUserSql } from 'middy-rds-iam'
import { quotePostgresName } from 'middy-rds-iam/identifiers'
import type { Server } from './server.ts'
import { runSetup, wrongSetup } from './setup.ts'

/**
 * Creates a database, and database users as Amazon RDS documents them.
 *
 * @param users May do everything in the database. Those that the setup creates may do what it lets them do.
 * @param setup SQL that is run in the database before.
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` where the setup fails, or creates one of the users without
 * `rds_iam`.
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export async function createPostgresDatabase(
  server: Pick<Server, 'query'>,
  database: string,
  users: readonly string[] = [],
  setup = '',
): Promise<void> {
  await server.query(`CREATE DATABASE ${quotePostgresName(database)}`)
  // RDS has this role already.
  const [role] = await server.query(`SELECT FROM pg_roles WHERE rolname = 'rds_iam'`)
  if (!role) await server.query('CREATE ROLE rds_iam')
  if (setup !== '') await runSetup(server, database, setup)
  const roles = await server.query(
    `SELECT rolname AS name, pg_has_role(oid, 'rds_iam', 'MEMBER') AS "isIamUser" FROM pg_roles`,
  )
  const isIamUser = new Map(roles.map(({ name, isIamUser }) => [name, isIamUser]))
  const other = users.find(user => isIamUser.get(user) === false)
  if (other !== undefined)
    throw wrongSetup(
      `creates ${JSON.stringify(other)} without rds_iam, and so RDS would not ask IAM: GRANT rds_iam TO it`,
    )
  const created = users.filter(user => !isIamUser.has(user))
  if (created.length === 0) return
  const schemas = await server.query(
    `SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'`,
    database,
  )
  const everybody = created.map(quotePostgresName).join(', ')
  const everywhere = schemas.map(({ name }) => quotePostgresName(String(name))).join(', ')
  const existing = ['SCHEMA', ...['TABLES', 'SEQUENCES', 'ROUTINES'].map(kind => `ALL ${kind} IN SCHEMA`)]
  const future = ['SCHEMAS', 'TABLES', 'SEQUENCES', 'ROUTINES', 'TYPES']
  const statements = [
    ...created.flatMap(user => createUserSql({ engine: 'postgres', user })),
    `GRANT ALL ON DATABASE ${quotePostgresName(database)} TO ${everybody};`,
    ...(everywhere === '' ? [] : existing.map(what => `GRANT ALL ON ${what} ${everywhere} TO ${everybody};`)),
    // What any of them, or the superuser, will create.
    ...future.map(
      kind =>
        `ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER, ${everybody} GRANT ALL ON ${kind} TO ${everybody};`,
    ),
  ]
  await server.query(statements.join('\n'), database)
}
