import type { Connection, RowDataPacket } from 'mysql2/promise'
import { quoteMysqlAccount } from '../identifiers/sql.ts'
import { createUserSql, dropUserSql } from '../users/user-sql.ts'
import { createMarks, findMarks, type Marks } from './mysql-marks.ts'
import { type Right, readRights, revokeRights } from './mysql-rights.ts'
import { waitForOthers, withMysql } from './mysql-session.ts'
import { dropTrial, tryGrants } from './mysql-trial.ts'
import {
  formatGranted,
  formatMark,
  grantedIn,
  type Mark,
  readOwnMark,
  refuseForeign,
  withoutDatabase,
} from './ownership-mark.ts'
import {
  ConnectFailure,
  describeError,
  describeGone,
  isServerGone,
  TaskFailure,
  type TaskRun,
  type UserTask,
} from './user-task.ts'

/**
 * Keeps or drops a user of MySQL's or MariaDB's. Each of these statements commits by itself, so that grants
 * are tried before, and what was begun is taken back by others.
 *
 * @returns What was done.
 */
export async function runMysqlTask(run: TaskRun): Promise<string> {
  const { task } = run
  if (task.action === 'keep') return withMysql(run, task.database, connection => keep(connection, run))
  try {
    // The user is the server's: the database may be gone.
    return await withMysql(run, undefined, connection => drop(connection, run))
  } catch (error) {
    if (error instanceof ConnectFailure && isServerGone(error.cause)) return describeGone(task)
    throw error
  }
}

async function keep(connection: Connection, run: TaskRun): Promise<string> {
  const { task } = run
  const account = quoteMysqlAccount(task.user)
  const marks = await createMarks(connection)
  await waitForOthers(connection, marks.lockName, run)
  const { isThere, isTaken, mark } = await find(connection, marks, task)
  const own = isThere ? mark : undefined
  if (isTaken && own === undefined) throw new TaskFailure(refuseForeign(task))
  try {
    for (const sql of task.setup) await connection.query(sql)
    const wanted = await tryGrants(connection, task)
    if (own === undefined) await create(connection, marks, task, wanted)
    else await change(connection, marks, task, own, wanted)
  } catch (error) {
    const mayRemain = own !== undefined || (error instanceof TaskFailure && error.mayRemain)
    throw new TaskFailure(describeError(error), { mayRemain })
  }
  return own === undefined ? `Created ${account}.` : `Kept ${account}.`
}

/** The mark first: a user without one would never be dropped. */
async function create(
  connection: Connection,
  marks: Marks,
  task: UserTask,
  wanted: readonly Right[],
): Promise<void> {
  const { engine, user, master, database, grants } = task
  const account = quoteMysqlAccount(user)
  let isCreated = false
  try {
    await marks.write(user, formatMark(task, { [database]: wanted }))
    for (const sql of createUserSql({ engine, user, masterUser: master.username }))
      await connection.query(sql)
    isCreated = true
    for (const grant of grants) await connection.query(`GRANT ${grant} TO ${account}`)
  } catch (error) {
    await takeBack(error, async () => {
      if (isCreated) for (const sql of dropUserSql({ engine, user }).once) await connection.query(sql)
      await marks.remove(user)
    })
  }
}

/** First what is added, then what is taken away. What the mark says is at no time less than what is granted. */
async function change(
  connection: Connection,
  marks: Marks,
  task: UserTask,
  mark: Mark,
  wanted: readonly Right[],
): Promise<void> {
  const { user, database, grants } = task
  const account = quoteMysqlAccount(user)
  const before = await readRights(connection, account)
  const granted = grantedIn(mark, database)
  const grantAll = async () => {
    for (const grant of grants) await connection.query(`GRANT ${grant} TO ${account}`)
  }
  try {
    const both = [...new Set([...granted, ...wanted])]
    await marks.write(user, formatMark(task, { ...mark.granted, [database]: both }))
    await grantAll()
    const gone = await findGranted(connection, granted, wanted, account)
    await revokeRights(connection, gone, account)
    // ALL PRIVILEGES may have held one that is wanted.
    if (gone.length > 0) await grantAll()
    await marks.write(user, formatMark(task, { ...mark.granted, [database]: wanted }))
  } catch (error) {
    await takeBack(error, async () => {
      const now = await readRights(connection, account)
      for (const right of before.filter(right => !now.includes(right)))
        await connection.query(`GRANT ${right} TO ${account}`)
      await revokeRights(
        connection,
        now.filter(right => !before.includes(right)),
        account,
      )
      await marks.write(user, formatGranted(mark, mark.granted))
    })
  }
}

/** Of the rights that are remembered, those that the user has and is not to keep. The text is the server's own. */
async function findGranted(
  connection: Connection,
  remembered: readonly Right[],
  kept: readonly Right[],
  account: string,
): Promise<readonly Right[]> {
  const rights = await readRights(connection, account)
  return rights.filter(right => remembered.includes(right) && !kept.includes(right))
}

async function drop(connection: Connection, run: TaskRun): Promise<string> {
  const { engine, user, master, owner, database } = run.task
  const account = quoteMysqlAccount(user)
  const marks = await findMarks(connection)
  if (marks !== undefined) await waitForOthers(connection, marks.lockName, run)
  const { isThere, isTaken, mark } = await find(connection, marks, run.task)
  if (marks === undefined || mark === undefined)
    return isTaken
      ? `Left ${account} alone: ${owner.resource} of this stack did not make it.`
      : `${account} is not there.`
  await dropTrial(connection)
  if (mark.id !== owner.id) {
    // The same user of the same server, which the stack goes on with in another database or under another
    // name of the server.
    if (mark.database !== database && isThere) {
      const kept = grantedIn(mark, mark.database)
      const gone = await findGranted(connection, grantedIn(mark, database), kept, account)
      await revokeRights(connection, gone, account)
      await marks.write(user, formatGranted(mark, withoutDatabase(mark, database)))
    }
    return `Left ${account} to ${mark.id}.`
  }
  if (isThere) {
    for (const sql of dropUserSql({ engine, user, masterUser: master.username }).once)
      await connection.query(sql)
  }
  await marks.remove(user)
  return isThere ? `Dropped ${account}.` : `${account} is not there.`
}

interface Found {
  readonly isThere: boolean
  /** Whether there is a user of that name at any host. */
  readonly isTaken: boolean
  readonly mark: Mark | undefined
}

async function find(connection: Connection, marks: Marks | undefined, task: UserTask): Promise<Found> {
  const [users] = await connection.execute<RowDataPacket[]>(
    'SELECT host AS host FROM mysql.user WHERE user = ?',
    [task.user],
  )
  return {
    isThere: users.some(({ host }) => host === '%'),
    isTaken: users.length > 0,
    mark: readOwnMark(await marks?.read(task.user), task),
  }
}

/** @throws {TaskFailure} What to say of the error, and whether the user is as before. */
async function takeBack(error: unknown, undo: () => Promise<void>): Promise<never> {
  const isUndone = await undo().then(
    () => true,
    () => false,
  )
  throw new TaskFailure(describeError(error), { mayRemain: !isUndone })
}
