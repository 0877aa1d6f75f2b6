import { iamUserStatements, quoteMysqlAccount, quoteMysqlName } from '../identifiers/sql.ts'
import {
  checkToken,
  type Failure,
  type FailureContext,
  loginTimedOut,
  noRoom,
  tooManyConnections,
  unencrypted,
} from './failure.ts'
import { gatewayFailures } from './gateway-failures.ts'
import { proxyFailures } from './proxy-failures.ts'

/**
 * Refusals whose words and number do not tell why. `(using password: NO)` says nothing of IAM: a server may say
 * it before it asks for the token, and after it took and refused it.
 */
const refusals = ['ER_ACCESS_DENIED_ERROR', 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR']

/**
 * What MySQL, MariaDB, RDS and mysql2 say.
 *
 * @see https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Troubleshooting.html
 */
export const mysqlFailures: readonly Failure[] = [
  ...gatewayFailures,
  ...proxyFailures,
  {
    code: 'RDS_IAM_UNAVAILABLE',
    // mysql2 gives what ends a handshake its own code for TLS.
    patterns: [{ codes: ['HANDSHAKE_SSL_ERROR'], message: /ECONNRESET|EPIPE|socket disconnected/ }],
    check:
      'The server ended the connection. It may be restarting or failing over; it may not be a database at all.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_TRUST',
    patterns: [{ codes: ['ER_SECURE_TRANSPORT_REQUIRED'] }],
    check: unencrypted,
  },
  {
    code: 'RDS_IAM_TRUST',
    patterns: [
      { codes: ['HANDSHAKE_NO_SSL_SUPPORT', 'HANDSHAKE_SSL_ERROR', 'ER_NO_SECURE_TRANSPORTS_CONFIGURED'] },
    ],
    check:
      'The server does not speak TLS as RDS does. Check that the host and the port are those of the RDS database.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [
      { codes: ['ER_ACCESS_DENIED_ERROR'], message: /IAM auth|using password: YES/i, token: 'sent' },
    ],
    check: checkToken,
    passes: 'perhaps',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: refusals, token: 'sent' }],
    check: context =>
      `${checkToken(context)} So does a user that is none for IAM: \`${iamUserStatements.mysql(context.user).join(' ')}\` makes one.`,
    passes: 'perhaps',
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    patterns: [
      // It refused without asking for the token, or asked for something else.
      { codes: refusals, token: 'unasked' },
      { codes: ['ER_ACCESS_DENIED_ERROR'], message: /using password: NO/ },
      { message: /asked for a password/i },
      { message: /requests authentication using unknown plugin/i },
      {
        codes: ['ER_ACCESS_DENIED_NO_PASSWORD_ERROR', 'ER_NOT_SUPPORTED_AUTH_MODE', 'ER_HOST_NOT_PRIVILEGED'],
      },
    ],
    check: ({ user }) =>
      `The database does not take ${user} for an IAM user. Run \`${iamUserStatements.mysql(user).join(' ')}\` in it as its ` +
      'master user, and check the spelling.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: ['ER_ACCESS_DENIED_ERROR'] }, { message: /IAM authentication failed/i }],
    check: checkToken,
    passes: 'perhaps',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: ['ER_PLUGIN_IS_NOT_LOADED'] }],
    check:
      'Enable IAM authentication on the database instance or cluster: without it, the plugin is not there.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    // MariaDB's own numbers have no name in mysql2, or another error's.
    patterns: [{ message: /account is locked/i }],
    check: ({ user }) => `The user is locked. Run \`ALTER USER ${quoteMysqlAccount(user)} ACCOUNT UNLOCK;\`.`,
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    patterns: [{ codes: ['ER_MUST_CHANGE_PASSWORD', 'ER_MUST_CHANGE_PASSWORD_LOGIN'] }],
    check: ({ user }) =>
      `${user} has a password, which expired; an IAM user has none. Run ` +
      `\`ALTER USER ${quoteMysqlAccount(user)} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;\` as the master user.`,
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [
      {
        codes: ['ER_OUTOFMEMORY', 'ER_OUT_OF_SORTMEMORY', 'ER_OUT_OF_RESOURCES', 'ER_CANT_CREATE_THREAD'],
      },
    ],
    check: noRoom,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    // An hour is too long to wait for.
    patterns: [{ codes: ['ER_USER_LIMIT_REACHED'], message: /per_hour/ }],
    check: checkOwnLimit,
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ codes: ['ER_TOO_MANY_USER_CONNECTIONS', 'ER_USER_LIMIT_REACHED'] }],
    check: checkOwnLimit,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ codes: ['ER_CON_COUNT_ERROR'] }],
    check: tooManyConnections,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ message: /^(No connections available|Queue limit reached)\.$/ }],
    check:
      'Every connection of this execution environment is in use. Return them to the pool, or raise `max`.',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [{ codes: ['ER_HOST_IS_BLOCKED'] }],
    check:
      'The server takes no more connections from here after too many that failed. Run `TRUNCATE TABLE ' +
      'performance_schema.host_cache;`, or `FLUSH HOSTS;` before MySQL 8.0.23 and in MariaDB, as its master user.',
  },
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [{ codes: ['ER_BAD_DB_ERROR'] }],
    check: ({ database }) =>
      `Authentication worked, but there is no database "${database}". Check \`database\`.`,
  },
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [{ codes: ['ER_DBACCESS_DENIED_ERROR'] }],
    check: ({ user, database }) =>
      `Authentication worked. The grant is missing, or there is no database "${database}", which has the same answer. Check ` +
      `\`database\`; then run \`GRANT ALL PRIVILEGES ON ${quoteMysqlName(database)}.* TO ${quoteMysqlAccount(user)};\`, or as much ` +
      'of it as the function needs, as the master user.',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [
      {
        codes: [
          'ER_NET_READ_ERROR',
          'ER_NET_READ_INTERRUPTED',
          'ER_NET_ERROR_ON_WRITE',
          'ER_NET_WRITE_INTERRUPTED',
        ],
      },
    ],
    check: loginTimedOut,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [
      {
        codes: [
          'PROTOCOL_CONNECTION_LOST',
          'ER_SERVER_SHUTDOWN',
          'ER_CLIENT_INTERACTION_TIMEOUT',
          'ER_SESSION_WAS_KILLED',
          'ER_SERVER_OFFLINE_MODE',
        ],
      },
      { message: /in closed state|connection was killed/i },
    ],
    check: 'The server ended the connection. It may be restarting or failing over.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [
      {
        codes: [
          'HANDSHAKE_UNKNOWN_ERROR',
          'PROTOCOL_ERROR',
          'PROTOCOL_UNEXPECTED_PACKET',
          'ERR_OUT_OF_RANGE',
          'ERR_BUFFER_OUT_OF_BOUNDS',
        ],
      },
      { message: /no auth plugin instance found/ },
    ],
    check:
      'The server does not speak as MySQL does. Check that the host and the port are those of the RDS database.',
  },
]

function checkOwnLimit({ user }: FailureContext): string {
  return (
    'There is a limit of its own: see the parameter `max_user_connections` and `SHOW CREATE USER`. To lift that of the user, run ' +
    `\`ALTER USER ${quoteMysqlAccount(user)} WITH MAX_USER_CONNECTIONS 0;\`, and likewise for the resource that the server names.`
  )
}
