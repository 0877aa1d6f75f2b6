import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { Postgres } from './postgres.ts'
import { root } from './template.ts'

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

/** Creates the database of the sample function with the very SQL that is to be run on RDS, `src/sample/notes.sql`. */
export async function createNotesDatabase(postgres: Postgres): Promise<IamDatabase> {
  await createDatabase(postgres, 'notes')
  await postgres.query(readFileSync(join(root, 'src', 'sample', 'notes.sql'), 'utf8'), 'notes')
  return { database: 'notes', user: 'notes_app' }
}

async function createDatabase(postgres: Postgres, database: string): Promise<void> {
  // Each in a query of its own: CREATE DATABASE refuses to run among other statements.
  await postgres.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`)
  // RDS has this role already.
  const [role] = await postgres.query(`SELECT FROM pg_roles WHERE rolname = 'rds_iam'`)
  if (!role) await postgres.query('CREATE ROLE rds_iam')
}
