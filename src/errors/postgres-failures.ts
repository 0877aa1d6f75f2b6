import { iamUserStatements, quotePostgresName as quote } from '../identifiers/sql.ts'
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
import { poolerFailures } from './pooler-failures.ts'
import { proxyFailures } from './proxy-failures.ts'

/** SQLSTATEs that say that authentication failed, and not why. */
const authentication = ['28000', '28P01']

/**
 * What PostgreSQL, RDS and pg say.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Troubleshooting.html
 */
export const postgresFailures: readonly Failure[] = [
  ...gatewayFailures,
  ...proxyFailures,
  ...poolerFailures,
  {
    code: 'RDS_IAM_OPTIONS',
    patterns: [
      // RDS Proxy, with one apostrophe or the other.
      { message: /Feature not supported: RDS Proxy currently doesn.t support/i },
      // PgBouncer, and what speaks as it does.
      { message: /unsupported startup parameter/i },
    ],
    check: checkStartupOption,
  },
  {
    code: 'RDS_IAM_OPTIONS',
    patterns: [
      { codes: ['42704'], message: /unrecognized configuration parameter/i },
      { codes: ['22023'], message: /invalid value for parameter/i },
    ],
    check:
      'The server does not know this setting, or this value of it. Correct it in `client`, in its `options`, or in the variable PGOPTIONS.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /password authentication failed/i, token: 'sent' }],
    check: context =>
      `${checkToken(context)} So does a user that is none for IAM: \`${iamUserStatements.postgres(context.user).join(' ')}\` makes one.`,
    passes: 'perhaps',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /authentication failed/i, token: 'sent' }],
    check: checkToken,
    passes: 'perhaps',
  },
  {
    code: 'RDS_IAM_NOT_GRANTED',
    patterns: [
      // It refused without asking for the token.
      { codes: authentication, message: /authentication failed/i, token: 'unasked' },
      { codes: authentication, message: /password authentication failed|role .* does not exist/i },
      { message: /asked for a password/i },
    ],
    check: ({ user }) =>
      `The database does not take ${user} for an IAM user. Run \`${iamUserStatements.postgres(user).join(' ')}\` in it as its ` +
      'master user, and check the spelling.',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /[PI]AM authentication failed/i }],
    check: checkToken,
    passes: 'perhaps',
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
    // What RDS keeps for itself.
    patterns: [{ codes: authentication, message: /pg_hba\.conf .*(user|database) "rdsadmin"/ }],
    check: checkAdmission,
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [{ codes: authentication, message: /^no pg_hba\.conf entry .*, SSL encryption$/ }],
    check: context =>
      'Aurora Serverless answers so while it resumes from 0 ACU: for some 15 s, and for longer after a day. Give `connectTimeoutMs` ' +
      'of 30000 or more, and the function a timeout that is longer than that. Where the database was not paused: ' +
      checkAdmission(context),
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication, message: /pg_hba\.conf/ }],
    check: checkAdmission,
  },
  {
    code: 'RDS_IAM_ACCESS_DENIED',
    patterns: [{ codes: authentication }],
    check: 'The server refused the connection for a reason of its own; its words above tell.',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ codes: ['53300'], message: /too many connections for (role|database) "/ }],
    check: ({ user, database }) =>
      `There is a limit of its own: see \`ALTER ROLE ${quote(user)} CONNECTION LIMIT\` and ` +
      `\`ALTER DATABASE ${quote(database)} CONNECTION LIMIT\`.`,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ codes: ['53300'] }, { message: /too many clients already|connection slots are reserved/ }],
    check: tooManyConnections,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_THROTTLED',
    patterns: [{ codes: ['53000', '53200'] }, { message: /could not fork new process|out of memory/i }],
    check: noRoom,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    // PostgreSQL itself ends the connection without a word then; poolers and proxies say it.
    patterns: [{ message: /canceling authentication due to timeout/i }],
    check: loginTimedOut,
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_UNAVAILABLE',
    patterns: [
      { codes: ['57P01', '57P02', '57P03', '57P05'] },
      { message: /^the database system is |^terminating connection due to/ },
    ],
    check: 'The server is starting up, shutting down or failing over. It takes connections again shortly.',
    passes: 'soon',
  },
  {
    code: 'RDS_IAM_DATABASE',
    patterns: [
      { codes: ['3D000'] },
      // RDS Proxy, whose code is not public, and poolers.
      { message: /^(Request returned an error: )?database ".*" does not exist/ },
    ],
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
    patterns: [{ codes: ['25006'] }, { message: /^cannot execute .* in a read-only transaction$/ }],
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

function checkAdmission({ user, database }: FailureContext): string {
  return (
    `The server does not admit ${user} to the database "${database}" from here, whatever the token. Check the user and the ` +
    'database; what RDS keeps for itself, such as rdsadmin, is open to nobody.'
  )
}

/** Names the option of `client` that a server or a proxy does not take in the startup message. */
function checkStartupOption({ user }: FailureContext, observed: string): string {
  const isInOptions = /command-line options|parameter in options/i.test(observed)
  const name = /(?:the option|startup parameter(?: in options)?:) (\w+(?:\.\w+)*)/i.exec(observed)?.[1]
  const option = isInOptions ? 'options' : name
  if (option === undefined)
    return 'The server, or the proxy before it, does not take an option of `client`; its words above tell which.'
  const place = option === 'options' ? '`client.options`, or the variable PGOPTIONS' : `\`client.${option}\``
  const setting = name === undefined || name === 'options' ? 'name' : name
  return (
    `The server, or the proxy before it, does not take ${place}. Take it out, and set what it is for with the user: ` +
    `\`ALTER ROLE ${quote(user)} SET ${setting} = …;\`.`
  )
}
