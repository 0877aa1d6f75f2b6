import type { Client, QueryConfig } from 'pg'
import { quotePostgresName, quotePostgresText } from '../identifiers/sql.ts'
import { requireVerified } from '../trust/verified-tls.ts'
import { createUserSql, dropUserSql } from '../users/user-sql.ts'
import { refuseMissing } from './missing-package.ts'
import { formatMark, type Mark, readOwnMark, refuseForeign } from './ownership-mark.ts'
import { connectTimeoutMs, describeError, TaskFailure, type TaskRun, type UserTask } from './user-task.ts'

/**
 * Keeps or drops a user of PostgreSQL's, in one transaction.
 *
 * @returns What was done.
 */
export function runPostgresTask(run: TaskRun): Promise<string> {
  return withClient(run, run.task.database, async client => {
    await client.query('BEGIN')
    // A request that Lambda delivers twice finds what the first one did.
    await client.query("SELECT pg_advisory_xact_lock(hashtext('middy-rds-iam'))")
    return run.task.action === 'keep' ? keep(client, run.task) : drop(client, run)
  })
}

async function withClient<T>(
  { task, tls, statementTimeoutMs }: TaskRun,
  database: string,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  // The JavaScript client, whatever NODE_PG_FORCE_NATIVE says.
  const { default: PgClient } = await import('pg/lib/client.js').catch(
    refuseMissing('Install pg beside middy-rds-iam'),
  )
  const { host, port, master } = task
  const client: Client = new PgClient({
    host,
    port,
    user: master.username,
    password: () => {
      requireVerified(client.connection.stream, { host, port })
      return master.password
    },
    database,
    ssl: tls,
    sslnegotiation: 'postgres',
    connectionTimeoutMillis: connectTimeoutMs,
  })
  // What broke is said by the query that fails; without a listener, it would end the process.
  client.on('error', () => {})
  await client.connect().catch(error => {
    client.connection.stream.destroy()
    throw new TaskFailure(`${master.username}@${host}:${port}/${database}: ${describeError(error)}`)
  })
  try {
    await client.query(`SET statement_timeout = ${statementTimeoutMs}`)
    return await use(client)
  } finally {
    // What was not committed is rolled back with it.
    await client.end()
  }
}

async function keep(client: Client, task: UserTask): Promise<string> {
  const { engine, user, master, setup, grants, revokes } = task
  const found = await find(client, task)
  if (found !== undefined && found.mark === undefined) throw new TaskFailure(refuseForeign(task))
  const name = quotePostgresName(user)
  let mayRemain = found !== undefined
  try {
    if (found === undefined) {
      for (const sql of createUserSql({ engine, user, masterUser: master.username })) await client.query(sql)
    }
    // Before anything that somebody wrote: a user without a mark would never be dropped.
    await client.query(`COMMENT ON ROLE ${name} IS ${quotePostgresText(formatMark(task))}`)
    for (const sql of setup) await runAlone(client, sql)
    for (const grant of revokes) await revoke(client, grant, name)
    for (const grant of grants) await runAlone(client, `GRANT ${grant} TO ${name}`)
    mayRemain = true
    await client.query('COMMIT')
  } catch (error) {
    throw new TaskFailure(describeError(error), {
      mayRemain: mayRemain || client.getTransactionStatus() === 'I',
    })
  }
  return found === undefined ? `Created ${name}.` : `Kept ${name}.`
}

async function drop(client: Client, run: TaskRun): Promise<string> {
  const { engine, user, master, owner, database, grants } = run.task
  const name = quotePostgresName(user)
  const found = await find(client, run.task)
  if (found === undefined) return `${name} is not there.`
  if (found.mark === undefined) return `Left ${name} alone: ${owner.resource} of this stack did not make it.`
  if (found.mark.id !== owner.id) {
    // The same user of the same server, which the stack goes on with in another database or under another
    // name of the server.
    if (found.mark.database !== database) {
      for (const grant of grants) await revoke(client, grant, name)
      await client.query('COMMIT')
    }
    return `Left ${name} to ${found.mark.id}.`
  }
  // What it owns goes to the master user, tables and all.
  const { inEveryDatabase, once } = dropUserSql({ engine, user, masterUser: master.username })
  for (const other of await findOtherDatabases(client, found.oid)) {
    await withClient(run, other, async there => {
      await there.query('BEGIN')
      for (const sql of inEveryDatabase) await there.query(sql)
      await there.query('COMMIT')
    })
  }
  for (const sql of [...inEveryDatabase, ...once]) await client.query(sql)
  await client.query('COMMIT')
  return `Dropped ${name}.`
}

async function find(
  client: Client,
  task: UserTask,
): Promise<{ readonly oid: number; readonly mark: Mark | undefined } | undefined> {
  const { rows } = await client.query(
    "SELECT oid, pg_catalog.shobj_description(oid, 'pg_authid') AS comment FROM pg_catalog.pg_roles WHERE rolname = $1",
    [task.user],
  )
  return rows.length === 0 ? undefined : { oid: rows[0].oid, mark: readOwnMark(rows[0].comment, task) }
}

/** Where a role owns or may do something; none of it could be dropped otherwise. */
async function findOtherDatabases(client: Client, oid: number): Promise<readonly string[]> {
  const { rows } = await client.query(
    `SELECT DISTINCT datname FROM pg_catalog.pg_shdepend JOIN pg_catalog.pg_database ON pg_database.oid = dbid
      WHERE refclassid = 'pg_catalog.pg_authid'::regclass AND refobjid = $1 AND datname <> current_database()`,
    [oid],
  )
  return rows.map(({ datname }) => datname)
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html: a column, table, function, type or role,
// schema, database is undefined.
const undefinedCodes = ['42703', '42P01', '42883', '42704', '3F000', '3D000']

/** Takes away what is not there any more, too. */
async function revoke(client: Client, grant: string, name: string): Promise<void> {
  await client.query('SAVEPOINT before_revoke')
  try {
    await runAlone(client, `REVOKE ${grant} FROM ${name}`)
  } catch (error) {
    if (!undefinedCodes.includes((error as { code?: string }).code ?? '')) throw error
    await client.query('ROLLBACK TO SAVEPOINT before_revoke')
  }
}

/** Runs what somebody wrote: one statement, inside the transaction. */
async function runAlone(client: Client, text: string): Promise<void> {
  // pg's types do not know this: the extended protocol takes one statement.
  const query: QueryConfig & { queryMode: string } = { text, queryMode: 'extended' }
  await client.query(query)
  if (client.getTransactionStatus() !== 'T') throw new Error(`The transaction was ended by: ${text}`)
}
