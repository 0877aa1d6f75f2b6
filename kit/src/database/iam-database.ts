import pg from 'pg'
import type { Postgres } from './postgres.ts'

/** A database and the user that IAM lets into it. */
export interface IamDatabase {
  readonly database: string
  readonly user: string
}

/**
 * Creates a database, and a database user as Amazon RDS documents it.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 */
export async function createIamDatabase(
  postgres: Postgres,
  { database = 'notes', user = 'notes_app' }: Partial<IamDatabase> = {},
): Promise<IamDatabase> {
  await createDatabase(postgres, database)
  const quotedUser = pg.escapeIdentifier(user)
  await postgres.query(`CREATE USER ${quotedUser}; GRANT rds_iam TO ${quotedUser}`)
  return { database, user }
}

/** Creates a database on a server that has the role `rds_iam`, as those of RDS do. */
export async function createDatabase(postgres: Postgres, database: string): Promise<void> {
  // Each in a query of its own: CREATE DATABASE refuses to run among other statements.
  await postgres.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`)
  // RDS has this role already.
  const [role] = await postgres.query(`SELECT FROM pg_roles WHERE rolname = 'rds_iam'`)
  if (!role) await postgres.query('CREATE ROLE rds_iam')
}
