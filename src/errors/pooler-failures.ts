import { type Failure, unencrypted } from './failure.ts'

/**
 * What PgBouncer says by itself, all of it under one SQLSTATE, 08P01, so that its words decide. Other poolers of
 * PostgreSQL speak as it does.
 *
 * @see https://www.pgbouncer.org/config.html
 */
export const poolerFailures: readonly Failure[] = [
  {
    code: 'RDS_IAM_TRUST',
    patterns: [{ codes: ['08P01'], message: /^SSL required$/ }],
    check: unencrypted,
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ message: /no more connections allowed|client connections exceeded/i }],
    check:
      'The pooler takes no more clients: see its max_client_conn, max_db_client_connections and max_user_client_connections. Lower `max` ' +
      'or the concurrency of the function, or raise them.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ message: /^query_wait_timeout/ }],
    check:
      'The pooler had no session at the database free in its query_wait_timeout: all are in use, it is paused, or it does not reach the ' +
      'database. See `SHOW POOLS` in its console, its default_pool_size and its log.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [
      { message: /^server login has been failing|^client_login_timeout|^server conn crashed/ },
      { message: /^(pooler is|server) shutting down/ },
    ],
    check:
      'The pooler does not get into the database, or is being restarted. See its log, and whether the database is up and lets it in.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [{ codes: ['08P01', '3D000'], message: /^no such database: |^database ".*" is disabled$/ }],
    check: ({ database }) =>
      `The pooler has no database "${database}", or it is turned off there. Check \`database\`, and the pooler's section [databases].`,
  },
]
