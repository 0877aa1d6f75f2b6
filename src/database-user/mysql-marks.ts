import { randomUUID } from 'node:crypto'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { isOneOf } from './mysql-session.ts'
import { TaskFailure } from './user-task.ts'

/** The table in which the marks of MySQL's and MariaDB's users are kept. */
export interface Marks {
  /** A name that nobody can guess, for a lock. */
  readonly lockName: string
  read(user: string): Promise<unknown>
  write(user: string, mark: string): Promise<void>
  remove(user: string): Promise<void>
}

// What nobody but the master user sees: no other user is given any right in it.
const createTable = [
  'CREATE DATABASE IF NOT EXISTS middy_rds_iam',
  'CREATE TABLE IF NOT EXISTS middy_rds_iam.database_users (' +
    'name varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, ' +
    'mark text CHARACTER SET utf8mb4 NOT NULL) ENGINE=InnoDB',
]

// No user has an empty name.
const lockRow = ''

/** Opens the table, and creates it where it is not there. */
export async function createMarks(connection: Connection): Promise<Marks> {
  for (const sql of createTable) await connection.query(sql)
  await holdTable(connection)
  return marksOf(connection)
}

/** Opens the table; nothing where it is not there, and nobody was ever created. */
export async function findMarks(connection: Connection): Promise<Marks | undefined> {
  try {
    await holdTable(connection)
  } catch (error) {
    if (isOneOf(error, ['ER_BAD_DB_ERROR', 'ER_NO_SUCH_TABLE'])) return undefined
    throw error
  }
  return marksOf(connection)
}

/**
 * Makes sure that the name is that of a table, and stays so until the session ends. Who may create in the
 * database could put a view in its place, and a function in the view would run as the master user.
 * `HANDLER` opens tables alone, and holds them.
 *
 * @see https://dev.mysql.com/doc/refman/8.4/en/handler.html
 */
async function holdTable(connection: Connection): Promise<void> {
  try {
    await connection.query('HANDLER middy_rds_iam.database_users OPEN AS held')
  } catch (error) {
    if (!isOneOf(error, ['ER_WRONG_OBJECT', 'ER_ILLEGAL_HA'])) throw error
    throw new TaskFailure(
      'middy_rds_iam.database_users is not the table that this resource makes: find out who put it there, and drop it',
    )
  }
  // A trigger runs with the rights of whoever made it, but none was made here.
  const [triggers] = await connection.query<RowDataPacket[]>('SHOW TRIGGERS FROM middy_rds_iam')
  if (triggers.length > 0)
    throw new TaskFailure('middy_rds_iam has a trigger: find out who put it there, and drop it')
}

async function marksOf(connection: Connection): Promise<Marks> {
  const read = async (user: string): Promise<unknown> => {
    const select = 'SELECT mark AS mark FROM middy_rds_iam.database_users WHERE name = ?'
    const [rows] = await connection.execute<RowDataPacket[]>(select, [user])
    return rows[0]?.mark
  }
  // Made once, by whoever comes first.
  const insert = 'INSERT IGNORE INTO middy_rds_iam.database_users (name, mark) VALUES (?, ?)'
  await connection.execute(insert, [lockRow, `middy-rds-iam ${randomUUID()}`])
  return {
    lockName: String(await read(lockRow)),
    read,
    async write(user, mark) {
      const replace = 'REPLACE INTO middy_rds_iam.database_users (name, mark) VALUES (?, ?)'
      await connection.execute(replace, [user, mark])
    },
    async remove(user) {
      await connection.execute('DELETE FROM middy_rds_iam.database_users WHERE name = ?', [user])
    },
  }
}
