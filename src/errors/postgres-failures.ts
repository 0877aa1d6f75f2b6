import { iamUserStatements, quotePostgresName as quote } from '../identifiers/sql.ts'
import { checkToken, type Failure, tooManyConnections, unencrypted } from './failure.ts'

/** SQLSTATEs that say that authentication failed, and not why. */
const authentication = ['28000', '28P01']

/**
 * What PostgreSQL, RDS and pg say.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Troubleshooting.html
 */
export const postgresFailures: readonly Failure[] = [
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /PAM authentication failed|IAM authentication failed/i }],
    check: checkToken,
    passes: 'perhaps',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /no credentials for the role/i }],
    check: 'RDS Proxy has no secret for this user. Add one, or set DefaultAuthScheme to IAM_AUTH.',
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    patterns: [
      { codes: authentication, message: /password authentication failed|does not exist/i },
      { message: /asked for a password/i },
    ],
    check: ({ user }) =>
      `The database does not take ${user} for an IAM user. Run \`${iamUserStatements.postgres(user).join(' ')}\` in it as its ` +
      'master user, and check the spelling.',
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    patterns: [{ codes: authentication, message: /not permitted to log in/i }],
    check: ({ user }) => `Run \`ALTER ROLE ${quote(user)} LOGIN;\` as the master user.`,
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /pg_hba\.conf .*(no encryption|SSL off)$/ }],
    check: unencrypted,
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /pg_hba\.conf/ }],
    check: ({ user, database }) =>
      `The server does not admit ${user} to the database "${database}" from here, whatever the token. Check the user and the ` +
      'database; what RDS keeps for itself, such as rdsadmin, is open to nobody.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication }],
    check: 'The server refused the connection for a reason of its own; its words above tell.',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ codes: ['53300'], message: /for (role|database) "/ }],
    check: ({ user, database }) =>
      `There is a limit of its own: see \`ALTER ROLE ${quote(user)} CONNECTION LIMIT\` and ` +
      `\`ALTER DATABASE ${quote(database)} CONNECTION LIMIT\`.`,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ codes: ['53300'] }, { message: /too many competing requests|rate limit exceeded/i }],
    check: tooManyConnections,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [{ codes: ['57P01', '57P02', '57P03', '57P05'] }],
    check: 'The server is starting up, shutting down or failing over. It takes connections again shortly.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [{ codes: ['3D000'] }],
    check: ({ database }) =>
      `Authentication worked, but there is no database "${database}". Check \`database\`.`,
  },
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [{ codes: ['42501'], message: /for database/ }],
    check: ({ user, database }) =>
      `Authentication worked. Run \`GRANT CONNECT ON DATABASE ${quote(database)} TO ${quote(user)};\` as the database's owner.`,
  },
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [{ codes: ['55000'], message: /not currently accepting connections/ }],
    check: ({ database }) =>
      `Authentication worked, but the database is closed. Run \`ALTER DATABASE ${quote(database)} ALLOW_CONNECTIONS true;\` as its owner.`,
  },
  {
    code: 'RDS_IAM_DATABASE',
    // Connecting writes nothing; a trigger of the server on logins may, and so may `onConnect` or `verify` of
    // a pool.
    patterns: [{ codes: ['25006'] }],
    check:
      "Authentication worked, and then something wrote. The server is read-only: a reader endpoint, or a writer that a failover demoted. Give the writer's " +
      'endpoint as the host.',
  },
  {
    code: 'RDS_IAM_OPTIONS',
    patterns: [{ message: /Cannot find (module|package) 'pg-native'/ }],
    check:
      'Unset NODE_PG_FORCE_NATIVE: pg loads pg-native because of it, and this package uses the JavaScript client.',
  },
]
