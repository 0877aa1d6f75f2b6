import type { Connection, RowDataPacket } from 'mysql2/promise'
import { quoteMysqlAccount } from '../identifiers/sql.ts'
import { createUserSql, dropUserSql } from '../users/user-sql.ts'
import { refuseMissing } from './missing-package.ts'
import { formatMark, type Mark, readOwnMark, refuseForeign } from './ownership-mark.ts'
import { connectTimeoutMs, describeError, TaskFailure, type TaskRun, type UserTask } from './user-task.ts'

// What nobody but the master user sees: no other user is given any right in it.
const createMarks = [
  'CREATE DATABASE IF NOT EXISTS middy_rds_iam',
  'CREATE TABLE IF NOT EXISTS middy_rds_iam.database_users (' +
    'name varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, ' +
    'mark text CHARACTER SET utf8mb4 NOT NULL) ENGINE=InnoDB',
]

/**
 * Keeps or drops a user of MySQL's or MariaDB's. Each of these statements commits by itself, so that what was
 * begun is taken back by others.
 *
 * @returns What was done.
 */
export async function runMysqlTask(run: TaskRun): Promise<string> {
  const timeoutSeconds = Math.ceil(run.statementTimeoutMs / 1000)
  const connection = await connect(run)
  try {
    // By default, a statement waits a year for a table that another session uses.
    await connection.query(`SET SESSION lock_wait_timeout = ${timeoutSeconds}`)
    // A request that Lambda delivers twice finds what the first one did.
    const [rows] = await connection.query<RowDataPacket[]>(
      `SELECT GET_LOCK('middy-rds-iam', ${timeoutSeconds}) AS isMine`,
    )
    if (rows[0]?.isMine !== 1) throw new TaskFailure('Another request has not ended')
    return await (run.task.action === 'keep' ? keep(connection, run.task) : drop(connection, run.task))
  } finally {
    await connection.end()
  }
}

async function connect({ task: { host, port, master, database }, tls }: TaskRun): Promise<Connection> {
  const { createConnection } = await import('mysql2/promise').catch(
    refuseMissing('Install mysql2 beside middy-rds-iam'),
  )
  const { username: user, password } = master
  const options = { host, port, user, password, database, ssl: tls, connectTimeout: connectTimeoutMs }
  const connection = await createConnection(options).catch(error => {
    throw new TaskFailure(`${user}@${host}:${port}/${database}: ${describeError(error)}`)
  })
  // What broke is said by the query that fails; without a listener, it would end the process.
  connection.on('error', () => {})
  return connection
}

async function keep(connection: Connection, task: UserTask): Promise<string> {
  const { user, setup, grants, revokes } = task
  const account = quoteMysqlAccount(user)
  const { isThere, isTaken, mark } = await find(connection, task)
  const isOwn = isThere && mark !== undefined
  if (isTaken && !isOwn) throw new TaskFailure(refuseForeign(task))
  if (!isOwn) await create(connection, task)
  try {
    for (const sql of setup) await connection.query(sql)
    for (const grant of revokes) await revoke(connection, grant, account)
    for (const grant of grants) await connection.query(`GRANT ${grant} TO ${account}`)
    await writeMark(connection, task)
  } catch (error) {
    const undo = isOwn ? undefined : takeBack(connection, task, true)
    throw await failureOf(error, undo)
  }
  return isOwn ? `Kept ${account}.` : `Created ${account}.`
}

/** The mark first: a user without one would never be dropped. */
async function create(connection: Connection, task: UserTask): Promise<void> {
  const { engine, user, master } = task
  for (const sql of createMarks) await connection.query(sql)
  try {
    await writeMark(connection, task)
    for (const sql of createUserSql({ engine, user, masterUser: master.username }))
      await connection.query(sql)
  } catch (error) {
    throw await failureOf(error, takeBack(connection, task, false))
  }
}

async function drop(connection: Connection, task: UserTask): Promise<string> {
  const { engine, user, master, owner, database, grants } = task
  const account = quoteMysqlAccount(user)
  const { isThere, isTaken, mark } = await find(connection, task)
  if (mark === undefined)
    return isTaken
      ? `Left ${account} alone: ${owner.resource} of this stack did not make it.`
      : `${account} is not there.`
  if (mark.id !== owner.id) {
    // The same user of the same server, which the stack goes on with in another database or under another
    // name of the server.
    if (mark.database !== database && isThere) {
      for (const grant of grants) await revoke(connection, grant, account)
    }
    return `Left ${account} to ${mark.id}.`
  }
  if (isThere) {
    for (const sql of dropUserSql({ engine, user, masterUser: master.username }).once)
      await connection.query(sql)
  }
  await removeMark(connection, task)
  return isThere ? `Dropped ${account}.` : `${account} is not there.`
}

interface Found {
  readonly isThere: boolean
  /** Whether there is a user of that name at any host. */
  readonly isTaken: boolean
  readonly mark: Mark | undefined
}

async function find(connection: Connection, task: UserTask): Promise<Found> {
  const [users] = await connection.execute<RowDataPacket[]>(
    'SELECT host AS host FROM mysql.user WHERE user = ?',
    [task.user],
  )
  return {
    isThere: users.some(({ host }) => host === '%'),
    isTaken: users.length > 0,
    mark: await readMark(connection, task),
  }
}

async function readMark(connection: Connection, task: UserTask): Promise<Mark | undefined> {
  try {
    const select = 'SELECT mark AS mark FROM middy_rds_iam.database_users WHERE name = ?'
    const [marks] = await connection.execute<RowDataPacket[]>(select, [task.user])
    return readOwnMark(marks[0]?.mark, task)
  } catch (error) {
    if (isOneOf(error, ['ER_BAD_DB_ERROR', 'ER_NO_SUCH_TABLE'])) return undefined
    throw error
  }
}

async function writeMark(connection: Connection, task: UserTask): Promise<void> {
  const replace = 'REPLACE INTO middy_rds_iam.database_users (name, mark) VALUES (?, ?)'
  await connection.execute(replace, [task.user, formatMark(task)])
}

async function removeMark(connection: Connection, { user }: UserTask): Promise<void> {
  await connection.execute('DELETE FROM middy_rds_iam.database_users WHERE name = ?', [user])
}

async function takeBack(connection: Connection, task: UserTask, isCreated: boolean): Promise<void> {
  const { engine, user } = task
  if (isCreated) for (const sql of dropUserSql({ engine, user }).once) await connection.query(sql)
  await removeMark(connection, task)
}

/**
 * What to say of an error, and whether all was taken back. Without `undo`, the user was there before, and
 * stays.
 */
async function failureOf(error: unknown, undo: Promise<void> | undefined): Promise<TaskFailure> {
  const isUndone = await undo?.then(
    () => true,
    () => false,
  )
  return new TaskFailure(describeError(error), { mayRemain: isUndone !== true })
}

// A grant, a table's grant, a routine's grant, a table, a routine, a database that is not there.
const undefinedCodes = [
  'ER_NONEXISTING_GRANT',
  'ER_NONEXISTING_TABLE_GRANT',
  'ER_NONEXISTING_PROC_GRANT',
  'ER_NO_SUCH_TABLE',
  'ER_SP_DOES_NOT_EXIST',
  'ER_BAD_DB_ERROR',
]

/** Takes away what is not there any more, too. */
async function revoke(connection: Connection, grant: string, account: string): Promise<void> {
  try {
    await connection.query(`REVOKE ${grant} FROM ${account}`)
  } catch (error) {
    if (!isOneOf(error, undefinedCodes)) throw error
  }
}

function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return codes.includes((error as { code?: string }).code ?? '')
}
