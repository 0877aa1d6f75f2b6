import type { Row } from './db.ts'

/** What is asked of a server in its own SQL. */
export interface Sql {
  /** The number of the session, as `value`. */
  readonly session: string
  readonly sleep: string
  /** Changes the session, then tells of it; and what it tells then, and in a session of its own. */
  readonly change: readonly string[]
  readonly look: string
  readonly changed: Row
  readonly clean: Row
  /** Whether the server can put a session back. */
  readonly canReset: boolean
  /** The driver's own code for a query of a table that does not exist. */
  readonly missingTable: string
}

export const postgresSql: Sql = {
  session: 'SELECT pg_backend_pid() AS value',
  sleep: 'SELECT pg_sleep(30)',
  change: [
    'SET search_path TO nowhere; LISTEN news; CREATE TEMP TABLE mine (x int); SET ROLE rds_iam',
    'SELECT pg_advisory_lock(42)',
  ],
  look: `SELECT current_setting('search_path') AS path, current_user::text AS role,
    (SELECT count(*)::int FROM pg_listening_channels()) AS channels, to_regclass('pg_temp.mine') IS NOT NULL AS temp,
    (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks`,
  changed: { path: 'nowhere', role: 'rds_iam', channels: 1, temp: true, locks: 1 },
  clean: { path: '"$user", public', role: 'notes_app', channels: 0, temp: false, locks: 0 },
  canReset: true,
  missingTable: '42P01',
}

export const mysqlSql: Omit<Sql, 'canReset'> = {
  session: 'SELECT CONNECTION_ID() AS value',
  sleep: 'SELECT SLEEP(30)',
  change: [
    "SET @mine = 'x'",
    'SET SESSION wait_timeout = 1234',
    'SET NAMES latin1',
    // A lock of this session's alone: an earlier one may still be on its way out.
    "SELECT GET_LOCK(CONCAT('news', CONNECTION_ID()), 0)",
    'USE information_schema',
  ],
  look: `SELECT @mine AS mine, @@wait_timeout = 1234 AS timeout, @@character_set_client AS charset,
    @@collation_connection AS collation, IS_USED_LOCK(CONCAT('news', CONNECTION_ID())) = CONNECTION_ID() AS locked, DATABASE() AS path`,
  changed: {
    mine: 'x',
    timeout: 1,
    charset: 'latin1',
    collation: 'latin1_swedish_ci',
    locked: 1,
    path: 'information_schema',
  },
  clean: {
    mine: null,
    timeout: 0,
    charset: 'utf8mb4',
    collation: 'utf8mb4_unicode_ci',
    locked: null,
    path: 'notes',
  },
  missingTable: 'ER_NO_SUCH_TABLE',
}
