import type { Connection, RowDataPacket } from 'mysql2/promise'
import { refuseMissing } from './missing-package.ts'
import {
  ConnectFailure,
  connectTimeoutMs,
  describeError,
  lockTimeoutMs,
  TaskFailure,
  type TaskRun,
} from './user-task.ts'

// What servers of today have by default: a setting of the server's, or its `init_connect`, would change what
// names, texts and the end of a transaction mean. A GRANT of MariaDB would else create a user who is gone.
// https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html, https://mariadb.com/kb/en/sql-mode/
const mode =
  'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'

function prepare(statementTimeoutMs: number): readonly string[] {
  // https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_lock_wait_timeout
  // By default, a statement waits a year for a table that another session uses, and 50 s for a row.
  const seconds = Math.max(1, Math.floor(lockTimeoutMs(statementTimeoutMs) / 1000))
  return [
    // First: in another character set, a byte of a name could swallow the quote behind it.
    'SET NAMES utf8mb4',
    `SET SESSION sql_mode = '${mode}' /*M!100000 , SESSION sql_mode = '${mode},NO_AUTO_CREATE_USER' */`,
    'SET SESSION autocommit = 1, SESSION completion_type = 0, SESSION sql_quote_show_create = 1',
    'SET SESSION TRANSACTION READ WRITE',
    `SET SESSION lock_wait_timeout = ${seconds}, SESSION innodb_lock_wait_timeout = ${seconds}`,
  ]
}

/** Runs `use` as the master user, in a session with settings of its own. */
export async function withMysql<T>(
  { task: { host, port, master }, tls, statementTimeoutMs }: TaskRun,
  database: string | undefined,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const { createConnection } = await import('mysql2/promise').catch(
    refuseMissing('Install mysql2 beside middy-rds-iam'),
  )
  const { username: user, password } = master
  const address = { host, port, user, password, ...(database !== undefined && { database }) }
  const connection = await createConnection({ ...address, ssl: tls, connectTimeout: connectTimeoutMs }).catch(
    cause => {
      const place = `${user}@${host}:${port}/${database ?? ''}`
      throw new ConnectFailure(`${place}: ${describeError(cause)}`, { cause })
    },
  )
  // What broke is said by the query that fails; without a listener, it would end the process.
  connection.on('error', () => {})
  try {
    for (const sql of prepare(statementTimeoutMs)) await connection.query(sql)
    return await use(connection)
  } finally {
    await connection.end()
  }
}

/** Whether an error has one of these names. */
export function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes((error as { code?: string }).code ?? '')
}

/**
 * Waits for another request of the same kind, and is waited for until the session ends.
 *
 * @param secret A name that only the master user can read: who knows it could hold the lock.
 */
export async function waitForOthers(
  connection: Connection,
  secret: string,
  { statementTimeoutMs }: TaskRun,
): Promise<void> {
  const seconds = Math.ceil(statementTimeoutMs / 1000)
  const [rows] = await connection.query<RowDataPacket[]>('SELECT GET_LOCK(?, ?) AS isMine', [secret, seconds])
  if (rows[0]?.isMine !== 1)
    throw new TaskFailure(`Another request for a user of this server has not ended within ${seconds} s`)
}
