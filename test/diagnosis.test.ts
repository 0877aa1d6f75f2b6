import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { type Attempt, diagnose } from '../src/diagnosis.ts'
import { RdsIamError, type RdsIamErrorCode } from '../src/errors.ts'
import { mysqlFailures } from '../src/failures/mysql.ts'
import { postgresFailures } from '../src/failures/postgres.ts'

const attempt: Attempt = {
  user: 'app',
  host: 'orders.c1x2.eu-west-1.rds.amazonaws.com',
  port: 5432,
  database: 'orders',
  region: 'eu-west-1',
  endpointHost: 'orders.c1x2.eu-west-1.rds.amazonaws.com',
  failures: postgresFailures,
}

const fail = (message: string, code?: string) => Object.assign(new Error(message), code && { code })

/** What a server says, which of the codes it is, and what the user should read. */
const failures: readonly (readonly [Error, RdsIamErrorCode, RegExp?])[] = [
  // Words of RDS and of PostgreSQL.
  [
    fail('PAM authentication failed for user "app"', '28000'),
    'RDS_IAM_ACCESS_DENIED',
    /IAM authentication is enabled.*IamDbAuthConnectionFailureThrottling/s,
  ],
  [fail('IAM authentication failed for the role app', '28P01'), 'RDS_IAM_ACCESS_DENIED', /rds-db:connect/],
  [
    fail('This RDS proxy has no credentials for the role app', '28000'),
    'RDS_IAM_ACCESS_DENIED',
    /secret.*DefaultAuthScheme/,
  ],
  [
    fail('no pg_hba.conf entry for host "10.0.0.1", user "app", database "orders", no encryption', '28000'),
    'RDS_IAM_ACCESS_DENIED',
  ],
  [
    fail('password authentication failed for user "app"', '28P01'),
    'RDS_IAM_NOT_GRANTED',
    /GRANT rds_iam TO "app"/,
  ],
  [fail('role "app" does not exist', '28000'), 'RDS_IAM_NOT_GRANTED', /CREATE USER "app"/],
  [
    fail('The server asked for a password by SCRAM, not for a token'),
    'RDS_IAM_NOT_GRANTED',
    /GRANT rds_iam TO "app"/,
  ],
  [fail('sorry, too many clients already', '53300'), 'RDS_IAM_THROTTLED', /Lower `max`/],
  [
    fail('remaining connection slots are reserved for roles with the SUPERUSER attribute', '53300'),
    'RDS_IAM_THROTTLED',
    /RDS Proxy/,
  ],
  [fail('Timed-out waiting: too many competing requests'), 'RDS_IAM_THROTTLED', /RDS Proxy/],
  [fail('timeout exceeded when trying to connect'), 'RDS_IAM_THROTTLED', /raise `max`/],
  [fail('all connections are in use (max is 1)'), 'RDS_IAM_THROTTLED', /raise `max`/],
  [
    fail('terminating connection due to administrator command', '57P01'),
    'RDS_IAM_UNAVAILABLE',
    /failing over/,
  ],
  [fail('the database system is starting up', '57P03'), 'RDS_IAM_UNAVAILABLE', /starting up/],
  [fail('the database system is shutting down', '57P03'), 'RDS_IAM_UNAVAILABLE', /shutting down/],
  [fail('database "orders" does not exist', '3D000'), 'RDS_IAM_DATABASE', /no database "orders"/],
  [
    fail('permission denied for database "orders"', '42501'),
    'RDS_IAM_DATABASE',
    /GRANT CONNECT ON DATABASE "orders" TO "app"/,
  ],
  // Words of pg, which carry no code.
  [fail('Connection terminated unexpectedly'), 'RDS_IAM_UNAVAILABLE', /failing over/],
  [fail('timeout expired'), 'RDS_IAM_UNREACHABLE', /security group/],
  [fail('Connection terminated due to connection timeout'), 'RDS_IAM_UNREACHABLE', /security group/],
  [fail('The server does not support SSL connections'), 'RDS_IAM_TRUST', /does not speak TLS as RDS/],
  [
    fail('There was an error establishing an SSL connection'),
    'RDS_IAM_TRUST',
    /host and the port are those of the RDS database/,
  ],
  // Errors of Node: the network.
  [fail('getaddrinfo ENOTFOUND orders', 'ENOTFOUND'), 'RDS_IAM_UNREACHABLE', /cannot be resolved/],
  [fail('getaddrinfo EAI_AGAIN orders', 'EAI_AGAIN'), 'RDS_IAM_UNREACHABLE', /DNS settings of the VPC/],
  [
    fail('connect ECONNREFUSED 10.0.0.1:5432', 'ECONNREFUSED'),
    'RDS_IAM_UNREACHABLE',
    /Nothing listens there/,
  ],
  [fail('connect ETIMEDOUT 10.0.0.1:5432', 'ETIMEDOUT'), 'RDS_IAM_UNREACHABLE', /security group/],
  [fail('connect EHOSTUNREACH 10.0.0.1:5432', 'EHOSTUNREACH'), 'RDS_IAM_UNREACHABLE', /VPC/],
  [fail('read ECONNRESET', 'ECONNRESET'), 'RDS_IAM_UNAVAILABLE', /ended the connection/],
  [
    fail('Client network socket disconnected before secure TLS connection was established', 'ECONNRESET'),
    'RDS_IAM_UNAVAILABLE',
    /ended the connection/,
  ],
  // Errors of Node: TLS. The codes are OpenSSL's, as Node passes them on.
  [
    fail('self-signed certificate in certificate chain', 'SELF_SIGNED_CERT_IN_CHAIN'),
    'RDS_IAM_TRUST',
    /Amazon RDS in eu-west-1 or of Amazon Trust Services.*`tls\.ca`/,
  ],
  [fail('self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'), 'RDS_IAM_TRUST', /`tls\.ca`/],
  [
    fail('unable to get local issuer certificate', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
    'RDS_IAM_TRUST',
    /`tls\.ca`/,
  ],
  [
    fail('unable to verify the first certificate', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    'RDS_IAM_TRUST',
    /`tls\.ca`/,
  ],
  [fail('certificate has expired', 'CERT_HAS_EXPIRED'), 'RDS_IAM_TRUST', /not valid today.*clock/],
  [fail('certificate is not yet valid', 'CERT_NOT_YET_VALID'), 'RDS_IAM_TRUST', /not valid today.*clock/],
  [
    fail("Hostname/IP does not match certificate's altnames: …", 'ERR_TLS_CERT_ALTNAME_INVALID'),
    'RDS_IAM_TRUST',
    /another server's than orders\.c1x2.*CNAME or a tunnel.*`endpoint`/,
  ],
  [fail('unsuitable certificate purpose', 'INVALID_PURPOSE'), 'RDS_IAM_TRUST'],
  [fail('certificate revoked', 'CERT_REVOKED'), 'RDS_IAM_TRUST'],
  [fail('certificate rejected', 'CERT_REJECTED'), 'RDS_IAM_TRUST'],
  [fail('certificate chain too long', 'CERT_CHAIN_TOO_LONG'), 'RDS_IAM_TRUST'],
  [fail('path length constraint exceeded', 'PATH_LENGTH_EXCEEDED'), 'RDS_IAM_TRUST'],
  [
    fail(
      '00:error:0A00010B:SSL routines:ssl3_get_record:wrong version number',
      'ERR_SSL_WRONG_VERSION_NUMBER',
    ),
    'RDS_IAM_TRUST',
    /does not speak TLS as RDS/,
  ],
  [
    fail('00:error:0A000102:SSL routines::unsupported protocol', 'ERR_SSL_UNSUPPORTED_PROTOCOL'),
    'RDS_IAM_TRUST',
    /does not speak TLS as RDS/,
  ],
]

const failMysql = (message: string, code?: string, errno?: number) =>
  Object.assign(new Error(message), code && { code }, errno && { errno })

/** What MySQL, MariaDB, RDS and mysql2 say. */
const failuresOfMysql: readonly (readonly [Error, RdsIamErrorCode, RegExp?])[] = [
  [
    failMysql(
      "Access denied for user 'app'@'10.0.0.1' (using password: YES)",
      'ER_ACCESS_DENIED_ERROR',
      1045,
    ),
    'RDS_IAM_ACCESS_DENIED',
    /rds-db:connect.*IAM authentication is enabled.*IamDbAuthConnectionFailureThrottling/s,
  ],
  [
    failMysql("Access denied for user 'app'@'10.0.0.1' (using password: NO)", 'ER_ACCESS_DENIED_ERROR', 1045),
    'RDS_IAM_NOT_GRANTED',
    /CREATE USER 'app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'; ALTER USER 'app'@'%' REQUIRE SSL;/,
  ],
  [
    failMysql('The server asked for a password by caching_sha2_password, not for a token'),
    'RDS_IAM_NOT_GRANTED',
    /AWSAuthenticationPlugin/,
  ],
  [
    failMysql(
      'Server requests authentication using unknown plugin client_ed25519.',
      'AUTH_SWITCH_PLUGIN_ERROR',
    ),
    'RDS_IAM_NOT_GRANTED',
    /AWSAuthenticationPlugin/,
  ],
  [
    failMysql("Access denied for user 'app'@'localhost'", 'ER_ACCESS_DENIED_NO_PASSWORD_ERROR', 1698),
    'RDS_IAM_NOT_GRANTED',
  ],
  [
    failMysql(
      "Host '10.0.0.1' is not allowed to connect to this MySQL server",
      'ER_HOST_NOT_PRIVILEGED',
      1130,
    ),
    'RDS_IAM_NOT_GRANTED',
  ],
  [
    failMysql('IAM authentication failed for user app. Check the IAM token for this user and try again.'),
    'RDS_IAM_ACCESS_DENIED',
    /rds-db:connect/,
  ],
  [
    failMysql('This RDS proxy has no credentials for the role app', 'ER_ACCESS_DENIED_ERROR', 1045),
    'RDS_IAM_ACCESS_DENIED',
    /secret.*DefaultAuthScheme/,
  ],
  [
    failMysql("Plugin 'AWSAuthenticationPlugin' is not loaded", 'ER_PLUGIN_IS_NOT_LOADED', 1524),
    'RDS_IAM_ACCESS_DENIED',
    /Enable IAM authentication/,
  ],
  [failMysql('Access denied, this account is locked', undefined, 4151), 'RDS_IAM_ACCESS_DENIED', /UNLOCK/],
  [
    failMysql('Connections using insecure transport are prohibited', 'ER_SECURE_TRANSPORT_REQUIRED', 3159),
    'RDS_IAM_TRUST',
    /does not speak TLS as RDS/,
  ],
  [
    failMysql('Server does not support secure connection', 'HANDSHAKE_NO_SSL_SUPPORT'),
    'RDS_IAM_TRUST',
    /does not speak TLS as RDS/,
  ],
  [
    failMysql('self-signed certificate in certificate chain', 'HANDSHAKE_SSL_ERROR'),
    'RDS_IAM_TRUST',
    /Amazon RDS in eu-west-1.*`tls\.ca`/,
  ],
  [
    failMysql("Hostname/IP does not match certificate's altnames: …", 'HANDSHAKE_SSL_ERROR'),
    'RDS_IAM_TRUST',
    /another server's than orders\.c1x2.*`endpoint`/,
  ],
  [failMysql('certificate has expired', 'HANDSHAKE_SSL_ERROR'), 'RDS_IAM_TRUST', /not valid today/],
  [failMysql('unsuitable certificate purpose', 'HANDSHAKE_SSL_ERROR'), 'RDS_IAM_TRUST'],
  [
    failMysql(
      'Client network socket disconnected before secure TLS connection was established',
      'HANDSHAKE_SSL_ERROR',
    ),
    'RDS_IAM_UNAVAILABLE',
    /ended the connection/,
  ],
  [failMysql('Too many connections', 'ER_CON_COUNT_ERROR', 1040), 'RDS_IAM_THROTTLED', /Lower `max`/],
  [
    failMysql(
      "User app already has more than 'max_user_connections' active",
      'ER_TOO_MANY_USER_CONNECTIONS',
      1203,
    ),
    'RDS_IAM_THROTTLED',
    /RDS Proxy/,
  ],
  [
    failMysql("User 'app' has exceeded the 'max_user_connections' resource", 'ER_USER_LIMIT_REACHED', 1226),
    'RDS_IAM_THROTTLED',
  ],
  [failMysql('IAM authentication rate limit exceeded'), 'RDS_IAM_THROTTLED', /RDS Proxy/],
  [failMysql('No connections available.'), 'RDS_IAM_THROTTLED', /raise `max`/],
  [failMysql('Queue limit reached.'), 'RDS_IAM_THROTTLED', /raise `max`/],
  [failMysql('all connections are in use (max is 1)'), 'RDS_IAM_THROTTLED', /raise `max`/],
  [
    failMysql("Host '10.0.0.1' is blocked because of many connection errors", 'ER_HOST_IS_BLOCKED', 1129),
    'RDS_IAM_UNAVAILABLE',
    /host_cache.*FLUSH HOSTS/,
  ],
  [
    failMysql("Unknown database 'orders'", 'ER_BAD_DB_ERROR', 1049),
    'RDS_IAM_DATABASE',
    /no database "orders"/,
  ],
  [
    failMysql("Access denied for user 'app'@'%' to database 'orders'", 'ER_DBACCESS_DENIED_ERROR', 1044),
    'RDS_IAM_DATABASE',
    /GRANT ALL PRIVILEGES ON `orders`\.\* TO 'app'@'%'/,
  ],
  [
    failMysql('Connection lost: The server closed the connection.', 'PROTOCOL_CONNECTION_LOST'),
    'RDS_IAM_UNAVAILABLE',
  ],
  [
    failMysql('Server shutdown in progress', 'ER_SERVER_SHUTDOWN', 1053),
    'RDS_IAM_UNAVAILABLE',
    /failing over/,
  ],
  [
    failMysql(
      'The client was disconnected by the server because of inactivity.',
      'ER_CLIENT_INTERACTION_TIMEOUT',
      4031,
    ),
    'RDS_IAM_UNAVAILABLE',
  ],
  [failMysql('Connection was killed', undefined, 1927), 'RDS_IAM_UNAVAILABLE', /ended the connection/],
  [failMysql("Can't add new command when connection is in closed state"), 'RDS_IAM_UNAVAILABLE'],
  [failMysql('Unexpected packet during handshake phase', 'HANDSHAKE_UNKNOWN_ERROR'), 'RDS_IAM_UNAVAILABLE'],
  [
    failMysql('connect ECONNREFUSED 10.0.0.1:3306', 'ECONNREFUSED'),
    'RDS_IAM_UNREACHABLE',
    /Nothing listens there/,
  ],
  [failMysql('connect ETIMEDOUT', 'ETIMEDOUT'), 'RDS_IAM_UNREACHABLE', /security group/],
  [failMysql('getaddrinfo ENOTFOUND orders', 'ENOTFOUND'), 'RDS_IAM_UNREACHABLE', /cannot be resolved/],
]

for (const [cause, code, remedy] of failuresOfMysql) {
  test(`${code} for "${cause.message}" of MySQL`, () => {
    const error = diagnose(cause, { ...attempt, port: 3306, failures: mysqlFailures })
    assert.equal(error.code, code)
    assert.equal(error.cause, cause)
    assert.ok(error.message.includes(cause.message), 'says what was observed')
    assert.match(error.message, /^Could not connect as app@orders\.c1x2\.[\w.-]+:3306\/orders in eu-west-1: /)
    assert.doesNotMatch(error.message, /GRANT rds_iam/)
    if (remedy !== undefined) assert.match(error.message, remedy)
  })
}

test('quotes the user and the database in the SQL that it suggests to MySQL', () => {
  const odd = { ...attempt, user: "o'app", database: 'or`ders', failures: mysqlFailures }
  const denied = failMysql('Access denied to database', 'ER_DBACCESS_DENIED_ERROR')
  assert.match(diagnose(denied, odd).message, /ON `or``ders`\.\* TO 'o\\'app'@'%'/)
})

test('names no database where there is none', () => {
  const { message } = diagnose(fail('x'), { ...attempt, database: '', failures: mysqlFailures })
  assert.match(message, /app@orders\.c1x2\.[\w.-]+:5432 in eu-west-1/)
})

for (const [cause, code, remedy] of failures) {
  const { code: causeCode } = cause as { code?: string }
  test(`${code} for "${cause.message}" ${causeCode ?? 'without a code'}`, () => {
    const error = diagnose(cause, attempt)
    assert.ok(error instanceof RdsIamError)
    assert.equal(error.code, code)
    assert.equal(error.cause, cause)
    assert.ok(error.message.includes(cause.message), 'says what was observed')
    assert.ok(
      error.message.startsWith(
        'Could not connect as app@orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders in eu-west-1: ',
      ),
      'says what was attempted',
    )
    if (causeCode !== undefined) assert.ok(error.message.includes(causeCode), 'says the code')
    if (remedy !== undefined) assert.match(error.message, remedy)
    assert.match(error.docs, new RegExp(`#${code.toLowerCase()}$`))
  })
}

const refusal = fail('PAM authentication failed for user "app"', '28000')

for (const [region, partition] of [
  ['eu-west-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
] as const) {
  test(`gives the ARN that the role needs in the partition of ${region}, with the invocation’s account`, () => {
    const { message } = diagnose(refusal, { ...attempt, region, account: '123456789012' })
    assert.ok(message.includes(` arn:${partition}:rds-db:${region}:123456789012:dbuser:<DbiResourceId>/app;`))
  })
}

test('marks the account in the ARN as missing where nobody knows it', () => {
  assert.match(
    diagnose(refusal, attempt).message,
    / arn:aws:rds-db:eu-west-1:<account>:dbuser:<DbiResourceId>\/app;/,
  )
})

test('names the endpoint beside the host where they differ', () => {
  const { message } = diagnose(fail('timeout expired'), { ...attempt, host: 'localhost', port: 15432 })
  assert.match(
    message,
    /app@localhost:15432\/orders \(orders\.c1x2\.eu-west-1\.rds\.amazonaws\.com\) in eu-west-1/,
  )
})

test('reads the collected error of all addresses that were tried, which has no message of its own', () => {
  const cause = new AggregateError([
    fail('connect ECONNREFUSED ::1:5432', 'ECONNREFUSED'),
    fail('connect ECONNREFUSED 127.0.0.1:5432', 'ECONNREFUSED'),
  ])
  const error = diagnose(Object.assign(cause, { code: 'ECONNREFUSED' }), attempt)
  assert.equal(error.code, 'RDS_IAM_UNREACHABLE')
  assert.match(error.message, /: connect ECONNREFUSED ::1:5432\. Nothing listens there/)
  assert.equal(error.cause, cause)
})

test('reads the collected error that Node itself makes', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  const [cause] = await once(connect({ port, host: 'localhost', autoSelectFamily: true }), 'connect').then(
    () => assert.fail('something listens there'),
    error => [error],
  )
  const error = diagnose(cause, attempt)
  assert.equal(error.code, 'RDS_IAM_UNREACHABLE')
  assert.match(error.message, /connect ECONNREFUSED/)
})

test('passes an error of this package through as it is', () => {
  const error = new RdsIamError('RDS_IAM_CREDENTIALS', 'no credentials')
  assert.equal(diagnose(error, attempt), error)
})

test('does not take an error that it does not know for any of those it knows', () => {
  const cause = fail('the moon is in the wrong phase', 'XX000')
  const error = diagnose(cause, attempt)
  assert.equal(error.code, 'RDS_IAM_DATABASE')
  assert.equal(error.cause, cause)
  assert.match(error.message, /: the moon is in the wrong phase \(XX000\)\.$/)
})

for (const cause of ['a text', undefined, null, 42, { code: 'ECONNREFUSED' }]) {
  test(`keeps a cause that is no error: ${JSON.stringify(cause) ?? 'undefined'}`, () => {
    const error = diagnose(cause, attempt)
    assert.ok(error instanceof RdsIamError)
    assert.equal(error.cause, cause)
    assert.ok(error.message.includes(String(cause)))
  })
}

test('takes a message of PostgreSQL about a password in a session for what its code says', () => {
  const error = diagnose(fail('role "reporting" does not exist', '22023'), attempt)
  assert.notEqual(error.code, 'RDS_IAM_NOT_GRANTED')
})

test('takes an error that no rule knows for a database’s word only where it carries a code of the server', () => {
  assert.equal(diagnose(fail('something new', 'ZZ999'), attempt).code, 'RDS_IAM_DATABASE')
  assert.equal(diagnose(fail('something new'), attempt).code, 'RDS_IAM_UNREACHABLE')
  assert.equal(diagnose(fail('something new', 'EPERM'), attempt).code, 'RDS_IAM_UNREACHABLE')
})

test('says which variable makes pg look for pg-native', () => {
  const { code, message } = diagnose(fail("Cannot find module 'pg-native'", 'MODULE_NOT_FOUND'), attempt)
  assert.equal(code, 'RDS_IAM_OPTIONS')
  assert.match(message, /Unset NODE_PG_FORCE_NATIVE/)
})
