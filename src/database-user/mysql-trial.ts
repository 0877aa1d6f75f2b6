import type { Connection, RowDataPacket } from 'mysql2/promise'
import { quoteMysqlAccount } from '../identifiers/sql.ts'
import { createUserSql, dropUserSql } from '../users/user-sql.ts'
import { type Right, readRights } from './mysql-rights.ts'
import { TaskFailure, type UserTask } from './user-task.ts'

/** A user who is there while grants are tried, and who logs in as little as any other IAM user without a policy. */
const trialUser = 'middy-rds-trial'

const account = quoteMysqlAccount(trialUser)

/**
 * Gives the grants to a user who is there for nothing else, and dropped again: every statement commits by
 * itself, and one that is wrong must not leave the real user with half of them.
 *
 * @returns The rights that come of them.
 * @throws What the server has against one of them.
 */
export async function tryGrants(
  connection: Connection,
  { engine, user, grants }: UserTask,
): Promise<readonly Right[]> {
  if (user === trialUser)
    throw new TaskFailure(`\`User\` ${trialUser} is a name that this resource has for itself`)
  await dropTrial(connection)
  for (const sql of createUserSql({ engine, user: trialUser })) await connection.query(sql)
  try {
    for (const grant of grants) await connection.query(`GRANT ${grant} TO ${account}`)
    return await readRights(connection, account)
  } finally {
    // Where the connection is lost, the next request does it.
    await dropTrial(connection).catch(() => {})
  }
}

/** Drops what a function that was ended half-way has left. */
export async function dropTrial(connection: Connection): Promise<void> {
  const [rows] = await connection.execute<RowDataPacket[]>(
    "SELECT 1 FROM mysql.user WHERE user = ? AND host = '%'",
    [trialUser],
  )
  if (rows.length === 0) return
  for (const sql of dropUserSql({ engine: 'mysql', user: trialUser }).once) await connection.query(sql)
}
