import type { Client } from 'pg'
import { quotePostgresName, quotePostgresText } from '../identifiers/sql.ts'
import { createUserSql, dropUserSql } from '../users/user-sql.ts'
import {
  formatGranted,
  formatMark,
  type Granted,
  grantedIn,
  type Mark,
  readOwnMark,
  refuseForeign,
  withoutDatabase,
} from './ownership-mark.ts'
import { inTransaction, runAuthored, waitForOthers, withPostgres } from './postgres-session.ts'
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
 * Keeps or drops a user of PostgreSQL's, in one transaction.
 *
 * @returns What was done.
 */
export function runPostgresTask(run: TaskRun): Promise<string> {
  const { task } = run
  if (task.action === 'drop') return drop(run)
  return withPostgres(run, task.database, client => keep(client, run))
}

async function keep(client: Client, run: TaskRun): Promise<string> {
  const { task } = run
  const name = quotePostgresName(task.user)
  // Whether the user is there if the transaction is rolled back.
  let mayRemain = false
  try {
    const isNew = await inTransaction(client, async () => {
      await waitForOthers(client, run)
      const found = await find(client, task)
      if (found !== undefined && found.mark === undefined) throw new TaskFailure(refuseForeign(task))
      mayRemain = found !== undefined
      await grant(client, task, found?.mark)
      // Whoever loses the connection now does not know how it ended.
      mayRemain = true
      return found === undefined
    })
    return isNew ? `Created ${name}.` : `Kept ${name}.`
  } catch (error) {
    throw new TaskFailure(describeError(error), {
      mayRemain: mayRemain || client.getTransactionStatus() === 'I',
    })
  }
}

/** First what can be wrong, then what takes something away; a failure leaves all of it as it was. */
async function grant(client: Client, task: UserTask, mark: Mark | undefined): Promise<void> {
  const { engine, user, master, database, setup, grants } = task
  const name = quotePostgresName(user)
  if (mark === undefined) {
    for (const sql of createUserSql({ engine, user, masterUser: master.username })) await client.query(sql)
  }
  const before = mark ?? { granted: {} }
  // Before anything that somebody wrote: a user without a mark would never be dropped.
  await writeMark(client, task, before.granted)
  for (const sql of setup) await runAuthored(client, sql)
  const grantAll = async () => {
    for (const text of grants) await runAuthored(client, `GRANT ${text} TO ${name}`)
  }
  await grantAll()
  const gone = grantedIn(before, database).filter(text => !grants.includes(text))
  for (const text of gone) await revoke(client, text, name)
  // What was revoked as `SELECT, INSERT ON notes` may be granted as `SELECT ON notes` still.
  if (gone.length > 0) await grantAll()
  await writeMark(client, task, { ...before.granted, [database]: grants })
}

async function drop(run: TaskRun): Promise<string> {
  const { task } = run
  try {
    return await withPostgres(run, task.database, client => dropIn(client, run))
  } catch (error) {
    if (!(error instanceof ConnectFailure)) throw error
    if (isServerGone(error.cause)) return describeGone(task)
    // The database is gone, and the user is the server's. Every server of RDS has this one.
    const isDatabaseGone = (error.cause as { code?: unknown }).code === '3D000'
    if (isDatabaseGone && task.database !== 'postgres')
      return withPostgres(run, 'postgres', client => dropIn(client, run))
    throw error
  }
}

function dropIn(client: Client, run: TaskRun): Promise<string> {
  const { engine, user, master, owner, database } = run.task
  const name = quotePostgresName(user)
  return inTransaction(client, async () => {
    await waitForOthers(client, run)
    const found = await find(client, run.task)
    if (found === undefined) return `${name} is not there.`
    const { mark, oid } = found
    if (mark === undefined) return `Left ${name} alone: ${owner.resource} of this stack did not make it.`
    if (mark.id !== owner.id) {
      // The same user of the same server, which the stack goes on with in another database or under another
      // name of the server.
      if (mark.database !== database && client.database === database) {
        // A membership in a role is the server's: what is granted in the other database too stays.
        const kept = grantedIn(mark, mark.database).filter(text => !/\bON\b/i.test(text))
        const gone = grantedIn(mark, database).filter(text => !kept.includes(text))
        for (const text of gone) await revoke(client, text, name)
        await client.query(commentOn(name, formatGranted(mark, withoutDatabase(mark, database))))
      }
      return `Left ${name} to ${mark.id}.`
    }
    // What it owns goes to the master user, tables and all.
    const { inEveryDatabase, once } = dropUserSql({ engine, user, masterUser: master.username })
    for (const other of await findOtherDatabases(client, oid)) {
      await withPostgres(run, other, there =>
        inTransaction(there, async () => {
          for (const sql of inEveryDatabase) await there.query(sql)
        }),
      )
    }
    for (const sql of [...inEveryDatabase, ...once]) await client.query(sql)
    return `Dropped ${name}.`
  })
}

async function find(
  client: Client,
  task: UserTask,
): Promise<{ readonly oid: number; readonly mark: Mark | undefined } | undefined> {
  const { rows } = await client.query(
    `SELECT oid, pg_catalog.shobj_description(oid, 'pg_authid') AS comment FROM pg_catalog.pg_roles
      WHERE rolname OPERATOR(pg_catalog.=) $1`,
    [task.user],
  )
  return rows.length === 0 ? undefined : { oid: rows[0].oid, mark: readOwnMark(rows[0].comment, task) }
}

async function writeMark(client: Client, task: UserTask, granted: Granted): Promise<void> {
  await client.query(commentOn(quotePostgresName(task.user), formatMark(task, granted)))
}

function commentOn(name: string, text: string): string {
  return `COMMENT ON ROLE ${name} IS ${quotePostgresText(text)}`
}

/** Where a role owns or may do something; none of it could be dropped otherwise. */
async function findOtherDatabases(client: Client, oid: number): Promise<readonly string[]> {
  const { rows } = await client.query(
    `SELECT DISTINCT datname FROM pg_catalog.pg_shdepend
       JOIN pg_catalog.pg_database ON pg_database.oid OPERATOR(pg_catalog.=) dbid
      WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass
        AND refobjid OPERATOR(pg_catalog.=) $1
        AND datname OPERATOR(pg_catalog.<>) pg_catalog.current_database()`,
    [oid],
  )
  return rows.map(({ datname }) => datname)
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html: a column, table, function, type or role,
// schema, database is undefined.
const undefinedCodes = ['42703', '42P01', '42883', '42704', '3F000', '3D000']

/** Takes away what is not there any more, too. */
async function revoke(client: Client, text: string, name: string): Promise<void> {
  await client.query('SAVEPOINT before_revoke')
  try {
    await runAuthored(client, `REVOKE ${text} FROM ${name}`)
  } catch (error) {
    if (!undefinedCodes.includes((error as { code?: string }).code ?? '')) throw error
    await client.query('ROLLBACK TO SAVEPOINT before_revoke')
  }
}
