import { quotePostgresName } from '../identifiers/sql.ts'
import { compareWithDatabase } from './clock-step.ts'
import type { DatabaseCheck, Look } from './diagnosed-engine.ts'
import type { Outcome } from './steps.ts'
import { compareSessions } from './tls-session.ts'

const done = { value: undefined }

/** The checks inside PostgreSQL, which writes true as `t` and false as `f`. */
export const postgresChecks: readonly DatabaseCheck[] = [
  { name: 'session', run: describeSession },
  { name: 'clock', run: look => compareWithDatabase(() => readTime(look)) },
  { name: 'iam-user', run: checkMembership },
  { name: 'encryption', run: checkEncryption },
  { name: 'forced-tls', run: checkForcedTls },
  { name: 'version', run: readVersion },
  { name: 'writes', run: checkWrites },
]

async function describeSession({ query, settings }: Look): Promise<Outcome> {
  const [row] = await query('SELECT current_user::text AS user, current_database()::text AS database')
  const { user = '', database = '' } = row as { user?: string; database?: string }
  const finding = `${user} in the database ${database}`
  const details = { user, database }
  if (user === settings.user) return { finding, details, ...done }
  const remedy = `Check what makes ${settings.user} another user: a proxy, or \`ALTER ROLE … SET role\`.`
  return { status: 'warning', finding, remedy, details, ...done }
}

async function readTime({ query }: Look): Promise<number> {
  const [row] = await query('SELECT extract(epoch FROM clock_timestamp())::text AS seconds')
  return Number(row?.seconds) * 1_000
}

/** @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html */
async function checkMembership({ query, settings }: Look): Promise<Outcome> {
  const [row] = await query(
    "SELECT pg_has_role(session_user, oid, 'MEMBER')::text AS member FROM pg_roles WHERE rolname = 'rds_iam'",
  )
  if (row === undefined)
    return {
      status: 'unknown',
      finding: 'there is no role rds_iam: this server is not on RDS',
      ...done,
    }
  const details = { isMember: row.member === 'true' }
  if (details.isMember) return { finding: 'a member of rds_iam', details, ...done }
  return {
    status: 'warning',
    finding: 'not a member of rds_iam: it is not IAM that decides about this user',
    remedy: `Run \`GRANT rds_iam TO ${quotePostgresName(settings.user)};\` as the master user. Behind RDS Proxy with a secret, it need not be one.`,
    details,
    ...done,
  }
}

async function checkEncryption({ query, tls }: Look): Promise<Outcome> {
  const [row] = await query(
    'SELECT ssl::text AS ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
  )
  return compareSessions(tls, row?.ssl === 'true' ? { version: row.version, cipher: row.cipher } : undefined)
}

/**
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html#PostgreSQL.Concepts.General.SSL.Requiring
 */
async function checkForcedTls({ query }: Look): Promise<Outcome> {
  const [row] = await query("SELECT current_setting('rds.force_ssl', true) AS forced")
  const forced = row?.forced ?? ''
  if (forced === '')
    return {
      status: 'unknown',
      finding: 'there is no parameter rds.force_ssl: this server is not on RDS',
      ...done,
    }
  const details = { isForced: ['1', 'on'].includes(forced) }
  if (details.isForced)
    return { finding: 'rds.force_ssl is on: nobody connects without TLS', details, ...done }
  return {
    status: 'warning',
    finding: 'rds.force_ssl is off: this connection is encrypted, and others need not be',
    remedy: "Set rds.force_ssl to 1 in the database's parameter group.",
    details,
    ...done,
  }
}

async function readVersion({ query }: Look): Promise<Outcome> {
  const [row] = await query("SELECT current_setting('server_version') AS version")
  const version = row?.version ?? ''
  return { finding: `PostgreSQL ${version}`, details: { version }, ...done }
}

async function checkWrites({ query }: Look): Promise<Outcome> {
  const [row] = await query(
    "SELECT pg_is_in_recovery()::text AS replica, current_setting('transaction_read_only') AS readonly",
  )
  const details = { isReplica: row?.replica === 'true', isReadOnly: row?.readonly === 'on' }
  if (details.isReplica)
    return {
      status: 'warning',
      finding: 'read-only: this is a replica',
      remedy:
        'For writing, connect to the writer: the endpoint of the instance or the cluster, not its reader endpoint.',
      details,
      ...done,
    }
  if (details.isReadOnly)
    return {
      status: 'warning',
      finding: 'read-only: transactions of this user or database are so by default',
      remedy:
        'For writing, see default_transaction_read_only of the user, the database and the parameter group.',
      details,
      ...done,
    }
  return { finding: 'takes writes', details, ...done }
}
