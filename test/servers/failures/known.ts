import assert from 'node:assert/strict'
import type { TokenUse } from '../../../src/errors/failure.ts'
import type { RdsIamErrorCode } from '../../../src/errors/rds-iam-error.ts'

export type EngineName = 'postgres' | 'mysql'

/** What every row is said of; docs/errors.md speaks of the same. */
export const target = { user: 'orders_app', database: 'orders', region: 'eu-west-1' } as const
export const account = '123456789012'

/**
 * Where the words come from: `server`, a test here makes a real server (or the gateway, in place of RDS) say them; `pooler`, a test of
 * `test/servers/pooler` makes PgBouncer; `recorded`, no server here can be made to; `package`, they are this package's own.
 */
type Origin = 'server' | 'pooler' | 'recorded' | 'package'

/** A failure that users meet. */
export interface KnownFailure {
  readonly engines: readonly EngineName[]
  readonly code: RdsIamErrorCode
  /** Literally, but for `…`, which stands for what differs. */
  readonly message: string
  /** The driver's own code, where the error has one. mysql2 has its own for whatever TLS says. */
  readonly driverCode: string | undefined
  /** What became of the token, where the words alone do not decide. */
  readonly token: TokenUse | undefined
  /** What the user reads behind the words. */
  readonly check: RegExp
  readonly from: Origin
}

/** Words, the driver's code, and what became of the token, where the same words mean two things. */
type Words = readonly [message: string, driverCode?: string, token?: TokenUse]

interface Group {
  readonly on: 'PostgreSQL' | 'MySQL' | 'any'
  readonly check: RegExp
  readonly server?: readonly Words[]
  readonly pooler?: readonly Words[]
  readonly recorded?: readonly Words[]
  readonly package?: readonly Words[]
}

const arn =
  /`rds-db:connect` on arn:aws:rds-db:eu-west-1:123456789012:dbuser:<DbiResourceId>\/orders_app; then/
const createMysqlUser =
  /Run `CREATE USER 'orders_app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;`/
const noRoom = /neither memory nor processes.*Lower `max`.*larger instance/
const loginTimedOut = /gave up on the login.*CPUUtilization/
const proxyIsBusy = /RDS Proxy takes no more connections.*Lower `max`.*keep connections/
const borrowTimeout = /borrow timeout.*DatabaseConnectionsCurrentlySessionPinned.*describe-db-proxy-targets/
const addSecret = /Add one, or set DefaultAuthScheme to IAM_AUTH/
const proxyWithoutIam = /RDS Proxy does not authenticate orders_app by IAM\. Set IAMAuth to REQUIRED/
const unencrypted = /without TLS: something on the way ends it/
const tooMany = /Lower `max`.*RDS Proxy/
const inUse = /Return them to the pool, or raise `max`/
const notTls = /does not speak TLS as RDS does\. Check that the host and the port/
const ended = /restarting or failing over/
const ofGateway = /The token was let in: start the gateway with what the server behind it wants/

/** What the gateway says of the server behind it, in either protocol. */
export const gatewayRefused =
  'The gateway took the token of "orders_app", and the server behind it then refused the login: …'
export const gatewayDistrusts = 'The gateway does not trust the server behind it: …'

const groups: Readonly<Record<RdsIamErrorCode, readonly Group[]>> = {
  RDS_IAM_OPTIONS: [
    { on: 'PostgreSQL', check: /`port` is not a port/, package: [['iamPg: 2 options are wrong:…']] },
    { on: 'MySQL', check: /`port` is not a port/, package: [['iamMysql: an option is wrong:…']] },
    {
      on: 'PostgreSQL',
      check:
        /take `client\.statement_timeout`\. Take it out.*`ALTER ROLE "orders_app" SET statement_timeout = …;`/,
      recorded: [
        ['Feature not supported: RDS Proxy currently doesn’t support the option statement_timeout.', '0A000'],
      ],
      pooler: [['unsupported startup parameter: statement_timeout', '08P01']],
    },
    {
      on: 'PostgreSQL',
      check: /take `client\.options`, or the variable PGOPTIONS\. Take it out/,
      recorded: [
        ["Feature not supported: RDS Proxy currently doesn't support command-line options.", '0A000'],
        ['unsupported startup parameter in options: lock_timeout', '08P01'],
      ],
    },
    {
      on: 'PostgreSQL',
      check: /Correct it in `client`, in its `options`, or in the variable PGOPTIONS/,
      server: [
        ['unrecognized configuration parameter "…"', '42704'],
        ['invalid value for parameter "…": "…"', '22023'],
      ],
    },
  ],
  RDS_IAM_CREDENTIALS: [
    {
      on: 'any',
      check: /Check that the process has AWS credentials/,
      package: [['Could not sign an authentication token for …']],
    },
    {
      on: 'any',
      check: /^/,
      package: [
        ['The AWS credentials expired at …'],
        ['The signer did not return an authentication token for …'],
      ],
    },
    { on: 'any', check: /`signer`, answers/, package: [['signing did not finish in time']] },
  ],
  RDS_IAM_TRUST: [
    {
      on: 'any',
      check: /another server's than .*CNAME or a tunnel.*`endpoint`/,
      server: [["Hostname/IP does not match certificate's altnames: …", 'ERR_TLS_CERT_ALTNAME_INVALID']],
    },
    {
      on: 'any',
      check:
        /does not come from an authority of Amazon RDS in eu-west-1 or of Amazon Trust Services.*`tls\.ca`/,
      server: [
        ['self-signed certificate in certificate chain…', 'SELF_SIGNED_CERT_IN_CHAIN'],
        ['self-signed certificate…', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
        ['unable to get local issuer certificate…', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
        ['unable to verify the first certificate…', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
      ],
    },
    {
      on: 'any',
      check: /not valid today\. Rotate.*clock/,
      server: [
        ['certificate has expired', 'CERT_HAS_EXPIRED'],
        ['certificate is not yet valid', 'CERT_NOT_YET_VALID'],
      ],
    },
    {
      on: 'any',
      check: /older than 1\.2/,
      server: [['…tlsv1 alert protocol version…', 'EPROTO']],
      recorded: [['…unsupported protocol…', 'ERR_SSL_UNSUPPORTED_PROTOCOL']],
    },
    {
      on: 'PostgreSQL',
      check: notTls,
      server: [['The server does not support SSL connections']],
    },
    {
      on: 'MySQL',
      check: notTls,
      server: [['Server does not support secure connection', 'HANDSHAKE_NO_SSL_SUPPORT']],
    },
    {
      on: 'MySQL',
      check: unencrypted,
      recorded: [['Connections using insecure transport are prohibited…', 'ER_SECURE_TRANSPORT_REQUIRED']],
    },
    { on: 'any', check: /^/, package: [['No certificate authorities of Amazon RDS are there for …']] },
    {
      on: 'any',
      check: unencrypted,
      recorded: [['This RDS Proxy requires TLS connections…'], ['IAM is allowed only with SSL connections…']],
    },
  ],
  RDS_IAM_UNREACHABLE: [
    {
      on: 'any',
      check: /as many files and connections open as it may/,
      recorded: [
        ['connect EMFILE …', 'EMFILE'],
        ['getaddrinfo EMFILE …', 'EMFILE'],
      ],
    },
    {
      on: 'any',
      check: /cannot be resolved/,
      recorded: [
        ['getaddrinfo ENOTFOUND …', 'ENOTFOUND'],
        ['getaddrinfo EAI_AGAIN …', 'EAI_AGAIN'],
      ],
    },
    { on: 'any', check: /Nothing listens there/, server: [['connect ECONNREFUSED …', 'ECONNREFUSED']] },
    {
      on: 'PostgreSQL',
      check: /security group admits .* Outside of the VPC, a VPN or a tunnel/,
      server: [['timeout expired']],
    },
    {
      on: 'MySQL',
      check: /security group admits .* Outside of the VPC, a VPN or a tunnel/,
      server: [['connect ETIMEDOUT', 'ETIMEDOUT']],
    },
    {
      on: 'any',
      check: /security group admits .* Outside of the VPC, a VPN or a tunnel/,
      recorded: [
        ['connect ETIMEDOUT …', 'ETIMEDOUT'],
        ['connect EHOSTUNREACH …', 'EHOSTUNREACH'],
      ],
      package: [['no connection within … ms, or the time that the invocation had left']],
    },
    {
      on: 'any',
      check: /Raise the function's timeout/,
      package: [['the invocation has no time left to connect']],
    },
    {
      on: 'any',
      check: /or give the Region/,
      package: [['DNS does not tell in which Region the writer of … is: …']],
    },
  ],
  RDS_IAM_ACCESS_DENIED: [
    {
      on: 'PostgreSQL',
      check: arn,
      server: [['PAM authentication failed for user "orders_app"', '28000']],
      recorded: [['The IAM authentication failed for the role orders_app…', '28P01', 'sent']],
    },
    {
      on: 'PostgreSQL',
      check:
        /`rds-db:connect`.*So does a user that is none for IAM: `CREATE USER "orders_app"; GRANT rds_iam TO "orders_app";`/,
      server: [['password authentication failed for user "orders_app"', '28P01', 'sent']],
    },
    {
      on: 'MySQL',
      check: arn,
      server: [["Access denied for user 'orders_app'@'…' (using password: YES)", 'ER_ACCESS_DENIED_ERROR']],
      recorded: [['IAM authentication failed for user orders_app…', 'ER_ACCESS_DENIED_ERROR']],
    },
    {
      on: 'MySQL',
      check:
        /`rds-db:connect`.*So does a user that is none for IAM: `CREATE USER 'orders_app'@'%' IDENTIFIED WITH/,
      server: [
        ["Access denied for user 'orders_app'@'…' (using password: NO)", 'ER_ACCESS_DENIED_ERROR', 'sent'],
        ["Access denied for user 'orders_app'@'…'", 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR', 'sent'],
      ],
    },
    {
      on: 'MySQL',
      check: /Enable IAM authentication on the database/,
      server: [["Plugin 'AWSAuthenticationPlugin' is not loaded", 'ER_PLUGIN_IS_NOT_LOADED']],
    },
    {
      on: 'PostgreSQL',
      check: addSecret,
      recorded: [['This RDS proxy has no credentials for the role orders_app…', '28000']],
    },
    {
      on: 'MySQL',
      check: addSecret,
      recorded: [['This RDS proxy has no credentials for the role orders_app…', 'ER_ACCESS_DENIED_ERROR']],
    },
    {
      on: 'PostgreSQL',
      check: unencrypted,
      server: [
        ['no pg_hba.conf entry for host "…", user "orders_app", database "orders", no encryption', '28000'],
      ],
      recorded: [
        ['no pg_hba.conf entry for host "…", user "orders_app", database "orders", SSL off', '28000'],
      ],
    },
    {
      on: 'PostgreSQL',
      check: /does not admit orders_app to the database "orders" from here/,
      server: [
        [
          'pg_hba.conf rejects connection for host "…", user "orders_app", database "orders", SSL encryption',
          '28000',
        ],
      ],
    },
    {
      on: 'MySQL',
      check: /ALTER USER 'orders_app'@'%' ACCOUNT UNLOCK/,
      // MariaDB's number is another error's of MySQL, and mysql2 knows the names of that one.
      server: [['Access denied, this account is locked', 'ER_BULK_PARSER_INCOMPLETE_ESCAPE_SEQUENCE']],
      recorded: [
        ["Access denied for user 'orders_app'@'…'. Account is locked.", 'ER_ACCOUNT_HAS_BEEN_LOCKED'],
      ],
    },
  ],
  RDS_IAM_NOT_GRANTED: [
    {
      on: 'PostgreSQL',
      check: /Run `CREATE USER "orders_app"; GRANT rds_iam TO "orders_app";`/,
      recorded: [['password authentication failed for user "orders_app"', '28P01', 'unasked']],
      server: [
        ['The server asked for a password by SCRAM, not for a token'],
        ['The server asked for a password by MD5, not for a token'],
        ['role "orders_app" does not exist', '28000'],
      ],
    },
    {
      on: 'PostgreSQL',
      check: /ALTER ROLE "orders_app" LOGIN/,
      server: [['role "orders_app" is not permitted to log in', '28000']],
    },
    {
      on: 'MySQL',
      check: createMysqlUser,
      server: [
        ["Access denied for user 'orders_app'@'…' (using password: NO)", 'ER_ACCESS_DENIED_ERROR', 'unasked'],
        ["Access denied for user 'orders_app'@'…'", 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR', 'unasked'],
        ['Server requests authentication using unknown plugin client_ed25519…', 'AUTH_SWITCH_PLUGIN_ERROR'],
        ["Host '…' is not allowed to connect to this … server", 'ER_HOST_NOT_PRIVILEGED'],
      ],
      recorded: [
        ['The server asked for a password by …, not for a token'],
        [
          "Access denied for user 'orders_app'@'…' (using password: YES)",
          'ER_ACCESS_DENIED_ERROR',
          'unasked',
        ],
      ],
    },
    {
      on: 'MySQL',
      check:
        /orders_app has a password, which expired.*`ALTER USER 'orders_app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL;`/,
      server: [['Your password has expired. To log in you must change it…', 'ER_MUST_CHANGE_PASSWORD_LOGIN']],
      recorded: [['You must reset your password using ALTER USER statement…', 'ER_MUST_CHANGE_PASSWORD']],
    },
    {
      on: 'any',
      check: proxyWithoutIam,
      recorded: [
        ['The password that was provided for the role orders_app is wrong.'],
        ['RDS supports only IAM, MD5, or SCRAM authentication.'],
      ],
    },
  ],
  RDS_IAM_THROTTLED: [
    {
      on: 'PostgreSQL',
      check: tooMany,
      server: [
        ['sorry, too many clients already', '53300'],
        ['remaining connection slots are reserved for roles with the SUPERUSER attribute', '53300'],
        ['remaining connection slots are reserved for non-replication superuser connections', '53300'],
        [
          'remaining connection slots are reserved for roles with privileges of the "pg_use_reserved_connections" role',
          '53300',
        ],
      ],
    },
    {
      on: 'any',
      check: proxyIsBusy,
      recorded: [
        ['The IAM authentication failed because of too many competing requests.'],
        ['IAM authentication rate limit exceeded…'],
        ['Connections rate limit exceeded…'],
        ['Rate of connection to proxy exceeded …'],
        ['The maximum number of client connections to the proxy exceeded …'],
        ['Number simultaneous connections exceeded …'],
      ],
    },
    {
      on: 'any',
      check: borrowTimeout,
      recorded: [['Timed-out waiting to acquire database connection…']],
    },
    {
      on: 'PostgreSQL',
      check: /The pooler takes no more clients.*max_client_conn.*Lower `max`/,
      pooler: [['no more connections allowed (max_client_conn)', '08P01']],
      recorded: [['client connections exceeded (max_…_client_connections)', '08P01']],
    },
    {
      on: 'PostgreSQL',
      check: /no session at the database free in its query_wait_timeout.*SHOW POOLS/,
      pooler: [['query_wait_timeout', '08P01']],
    },
    {
      on: 'PostgreSQL',
      check: noRoom,
      server: [['could not fork new process for connection: …']],
      recorded: [['out of memory', '53200']],
    },
    {
      on: 'MySQL',
      check: noRoom,
      recorded: [
        ['Out of memory; …', 'ER_OUT_OF_RESOURCES'],
        ["Can't create a new thread (errno …", 'ER_CANT_CREATE_THREAD'],
        ['Out of memory; restart server and try again (needed … bytes)', 'ER_OUTOFMEMORY'],
      ],
    },
    {
      on: 'PostgreSQL',
      check: /`ALTER ROLE "orders_app" CONNECTION LIMIT`.*`ALTER DATABASE "orders" CONNECTION LIMIT`/,
      server: [
        ['too many connections for role "orders_app"', '53300'],
        ['too many connections for database "orders"', '53300'],
      ],
    },
    {
      on: 'MySQL',
      check: tooMany,
      server: [['Too many connections', 'ER_CON_COUNT_ERROR']],
    },
    {
      on: 'MySQL',
      check:
        /limit of its own.*`max_user_connections`.*`ALTER USER 'orders_app'@'%' WITH MAX_USER_CONNECTIONS 0;`/,
      server: [
        [
          "User orders_app already has more than 'max_user_connections' active connections",
          'ER_TOO_MANY_USER_CONNECTIONS',
        ],
        [
          "User 'orders_app' has exceeded the 'max_user_connections' resource (current value: …)",
          'ER_USER_LIMIT_REACHED',
        ],
        [
          "User 'orders_app' has exceeded the 'max_connections_per_hour' resource (current value: …)",
          'ER_USER_LIMIT_REACHED',
        ],
      ],
    },
    { on: 'any', check: inUse, package: [['all connections are in use (max is …)']] },
    { on: 'PostgreSQL', check: inUse, recorded: [['timeout exceeded when trying to connect']] },
    { on: 'MySQL', check: inUse, recorded: [['No connections available.'], ['Queue limit reached.']] },
  ],
  RDS_IAM_UNAVAILABLE: [
    {
      on: 'PostgreSQL',
      check: /starting up, shutting down or failing over/,
      server: [
        ['the database system is starting up', '57P03'],
        ['the database system is shutting down', '57P03'],
        ['the database system is not accepting connections', '57P03'],
        ['terminating connection due to administrator command', '57P01'],
      ],
      recorded: [
        ['the database system is not yet accepting connections', '57P03'],
        ['the database system is in recovery mode', '57P03'],
      ],
    },
    {
      on: 'PostgreSQL',
      check:
        /resumes from 0 ACU.*`connectTimeoutMs` of 30000 or more.*does not admit orders_app to the database "orders"/,
      server: [
        ['no pg_hba.conf entry for host "…", user "orders_app", database "orders", SSL encryption', '28000'],
      ],
    },
    {
      on: 'PostgreSQL',
      check: loginTimedOut,
      recorded: [['canceling authentication due to timeout', '57014']],
    },
    {
      on: 'MySQL',
      check: loginTimedOut,
      recorded: [
        ['Got timeout reading communication packets', 'ER_NET_READ_INTERRUPTED'],
        ['Got an error reading communication packets', 'ER_NET_READ_ERROR'],
      ],
    },
    {
      on: 'PostgreSQL',
      check: /The pooler does not get into the database.*its log/,
      recorded: [
        ['server login has been failing, …', '08P01'],
        ['client_login_timeout…', '08P01'],
        ['server conn crashed?', '08P01'],
      ],
    },
    { on: 'PostgreSQL', check: ended, server: [['Connection terminated unexpectedly']] },
    {
      on: 'MySQL',
      check: ended,
      server: [
        ['Connection lost: The server closed the connection.', 'PROTOCOL_CONNECTION_LOST'],
        ['Server shutdown in progress', 'ER_SERVER_SHUTDOWN'],
      ],
      recorded: [
        ['The client was disconnected by the server because of inactivity…', 'ER_CLIENT_INTERACTION_TIMEOUT'],
        ["Can't add new command when connection is in closed state"],
      ],
    },
    {
      on: 'any',
      check: ended,
      server: [
        ['read ECONNRESET', 'ECONNRESET'],
        ['Client network socket disconnected before secure TLS connection was established', 'ECONNRESET'],
      ],
    },
    {
      on: 'any',
      check: /A writer is wanted.*`targetSessionAttrs` to 'any'/,
      package: [['the server takes no writes: it is a standby, or read-only']],
    },
    {
      on: 'MySQL',
      check: /TRUNCATE TABLE performance_schema\.host_cache;.*FLUSH HOSTS;/,
      server: [["Host '…' is blocked because of many connection errors…", 'ER_HOST_IS_BLOCKED']],
    },
  ],
  RDS_IAM_DATABASE: [
    {
      on: 'PostgreSQL',
      check: /there is no database "orders"\. Check `database`/,
      server: [['database "orders" does not exist', '3D000']],
      recorded: [['Request returned an error: database "orders" does not exist…']],
    },
    {
      on: 'PostgreSQL',
      check: /The pooler has no database "orders", or it is turned off there/,
      pooler: [
        ['no such database: orders', '08P01'],
        ['database "orders" is disabled', '08P01'],
      ],
    },
    {
      on: 'PostgreSQL',
      check: /Run `GRANT CONNECT ON DATABASE "orders" TO "orders_app";`/,
      server: [['permission denied for database "orders"', '42501']],
    },
    {
      on: 'PostgreSQL',
      check: /`ALTER DATABASE "orders" ALLOW_CONNECTIONS true;`/,
      server: [['database "orders" is not currently accepting connections', '55000']],
    },
    {
      on: 'PostgreSQL',
      check: /reader endpoint, or a writer that a failover demoted.*the writer's endpoint/,
      server: [['cannot execute … in a read-only transaction', '25006']],
    },
    {
      on: 'MySQL',
      check: /there is no database "orders"\. Check `database`/,
      server: [["Unknown database 'orders'", 'ER_BAD_DB_ERROR']],
    },
    {
      on: 'MySQL',
      check: /Check `database`; then run `GRANT ALL PRIVILEGES ON `orders`\.\* TO 'orders_app'@'%';`/,
      server: [["Access denied for user 'orders_app'@'…' to database 'orders'", 'ER_DBACCESS_DENIED_ERROR']],
    },
    {
      on: 'PostgreSQL',
      check: ofGateway,
      server: [
        [gatewayRefused, '08004'],
        [gatewayDistrusts, '08004'],
      ],
    },
    {
      on: 'MySQL',
      check: ofGateway,
      server: [
        [gatewayRefused, 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE'],
        [gatewayDistrusts, 'ER_CONNECT_TO_FOREIGN_DATA_SOURCE'],
      ],
    },
  ],
  RDS_IAM_CLOSED: [
    {
      on: 'any',
      check: /Close a pool or a middleware once nothing uses it any more/,
      package: [['The pool or middleware was closed; no connection is opened to …']],
    },
  ],
}

const engineNames = { PostgreSQL: ['postgres'], MySQL: ['mysql'], any: ['postgres', 'mysql'] } as const

/** Every failure that docs/errors.md names, and no other. */
export const knownFailures: readonly KnownFailure[] = Object.entries(groups).flatMap(([code, groups]) =>
  groups.flatMap(({ on, check, ...words }) =>
    (['server', 'pooler', 'recorded', 'package'] as const).flatMap(from =>
      (words[from] ?? []).map(([message, driverCode, token]) => ({
        engines: engineNames[on],
        code: code as RdsIamErrorCode,
        message,
        driverCode,
        token,
        check,
        from,
      })),
    ),
  ),
)

/** What any server can be made to say that speaks no more than the beginning of the protocol: `wire.test.ts` does. */
export const saidByAnyServer: Readonly<Record<EngineName, readonly string[]>> = {
  postgres: ['The server does not support SSL connections', 'timeout expired'],
  mysql: ['connect ETIMEDOUT', 'Connection lost: The server closed the connection.'],
}

/** @param token What became of the token, where the same words mean two things. */
export function findFailure(engine: EngineName, message: string, token?: TokenUse): KnownFailure {
  const all = knownFailures.filter(row => row.message === message && row.engines.includes(engine))
  const rows = all.length > 1 ? all.filter(row => row.token === token) : all
  assert.equal(rows.length, 1, `${rows.length} rows for "${message}" of ${engine}`)
  return rows[0] as KnownFailure
}

/** The code by which the engine's driver tells a failure: mysql2 has one of its own for whatever stands in the way of TLS. */
export function driverCodeOf(
  { code, engines, driverCode }: KnownFailure,
  engine: EngineName,
): string | undefined {
  const isOfTls = engines.length > 1 && (code === 'RDS_IAM_TRUST' || driverCode === 'ECONNRESET')
  return engine === 'mysql' && isOfTls ? 'HANDSHAKE_SSL_ERROR' : driverCode
}

/** Whether a message is what a literal says, where `…` stands for anything. */
export function fitsLiteral(message: string, literal: string): boolean {
  const parts = literal.split('…').map(part => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's').test(message)
}
