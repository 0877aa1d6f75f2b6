import type { Client, QueryConfig } from 'pg'
import { requireVerified } from '../trust/verified-tls.ts'
import { refuseMissing } from './missing-package.ts'
import { ConnectFailure, connectTimeoutMs, describeError, lockTimeoutMs, type TaskRun } from './user-task.ts'

// `SET` asks for no function and no operator, so nothing that somebody planted can be taken for its own. It
// stands above what ALTER ROLE and ALTER DATABASE say, and RDS Proxy takes it, which takes no options at
// connecting. pg_temp comes last, or it would come first. `createrole_self_grant`, which only 16 and newer
// know, would make the master user inherit rds_iam from whom it creates, and so lose its password.
// https://www.postgresql.org/docs/current/ddl-schemas.html#DDL-SCHEMAS-PATH
const ownPath = 'pg_catalog, pg_temp'
// pg_catalog is searched before these, and what is created goes to the first one.
const authorPath = 'public, pg_temp'

function prepare(statementTimeoutMs: number): string {
  return `SET search_path = ${ownPath};
    SET ROLE NONE;
    SET standard_conforming_strings = on;
    SET client_encoding = 'UTF8';
    SET transform_null_equals = off;
    SET statement_timeout = ${statementTimeoutMs};
    SET lock_timeout = ${lockTimeoutMs(statementTimeoutMs)};
    SELECT pg_catalog.set_config(name, '', false) FROM pg_catalog.pg_settings
      WHERE name OPERATOR(pg_catalog.=) 'createrole_self_grant'`
}

/** Runs `use` as the master user, in a session in which names mean what PostgreSQL brings. */
export async function withPostgres<T>(
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
  await client.connect().catch(cause => {
    client.connection.stream.destroy()
    throw new ConnectFailure(`${master.username}@${host}:${port}/${database}: ${describeError(cause)}`, {
      cause,
    })
  })
  try {
    await client.query(prepare(statementTimeoutMs))
    return await use(client)
  } finally {
    // What was not committed is rolled back with it.
    await client.end()
  }
}

/** Runs `use` in a transaction, whatever settings the database has for new ones. */
export async function inTransaction<T>(client: Client, use: () => Promise<T>): Promise<T> {
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE')
  const result = await use()
  await client.query('COMMIT')
  return result
}

/**
 * Runs what the template's author wrote: one statement, inside the transaction. Names without a schema are
 * PostgreSQL's own, or else in `public`, whatever the master user's search path is.
 */
export async function runAuthored(client: Client, text: string): Promise<void> {
  await client.query(`SET LOCAL search_path = ${authorPath}`)
  // pg's types do not know this: the extended protocol takes one statement.
  const query: QueryConfig & { queryMode: string } = { text, queryMode: 'extended' }
  await client.query(query)
  if (client.getTransactionStatus() !== 'T') throw new Error(`The transaction was ended by: ${text}`)
  await client.query(`SET LOCAL search_path = ${ownPath}; SET LOCAL ROLE NONE`)
}

/**
 * Waits until no other request is at work on this server, and keeps others waiting until the transaction ends.
 *
 * Two transactions cannot both create one role, so the later one waits. An advisory lock would do the same,
 * but everybody who may log in can hold one. Only who may create roles can hold this.
 *
 * @see https://www.postgresql.org/docs/current/index-unique-checks.html
 */
export async function waitForOthers(client: Client, { statementTimeoutMs }: TaskRun): Promise<void> {
  // Another request may take as long as this one may.
  await client.query(`SET LOCAL lock_timeout = ${statementTimeoutMs}`)
  await client.query('CREATE ROLE middy_rds_iam_lock')
  await client.query('DROP ROLE middy_rds_iam_lock')
  await client.query(`SET LOCAL lock_timeout = ${lockTimeoutMs(statementTimeoutMs)}`)
}
