import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { makeAuthority } from '../../../kit/src/gateway/certificate.ts'
import { postgresFailures } from '../../../src/errors/postgres-failures.ts'
import { iamMysql, iamMysqlPool } from '../../../src/mysql2.ts'
import { type Engine, readSettings } from '../../../src/options/settings.ts'
import { iamPg, iamPgPool, RdsIamError } from '../../../src/pg.ts'

const { ca } = await makeAuthority()
const host = 'orders.c1x2.eu-west-1.rds.amazonaws.com'
const right = { host, user: 'orders_app' }

const variables = [
  ...['PGHOST', 'PGPORT', 'PGUSER', 'PGDATABASE', 'AWS_REGION', 'AWS_DEFAULT_REGION'],
  ...['MYSQL_HOST', 'MYSQL_TCP_PORT', 'MYSQL_USER', 'MYSQL_DATABASE'],
]
const clear = () => {
  for (const name of variables) delete process.env[name]
}
clear()
afterEach(clear)

const engine: Engine = {
  factory: 'iamPg',
  defaultPort: 5432,
  caVariable: 'PGSSLROOTCERT',
  environment: { host: 'PGHOST', port: 'PGPORT', user: 'PGUSER', database: 'PGDATABASE' },
  defaultDatabase: user => user,
  ownedClientOptions: {},
  failures: postgresFailures,
}

type Factory = (options: never) => object

/** The message of the error that the factories throw. */
function refusal(options: unknown, factories: readonly Factory[] = [iamPgPool, iamPg]): string {
  let message = ''
  for (const factory of factories) {
    assert.throws(
      () => factory(options as never),
      (error: unknown) => {
        assert.ok(error instanceof RdsIamError)
        assert.equal(error.code, 'RDS_IAM_OPTIONS')
        assert.ok(error.message.startsWith(`${factory.name}: `))
        message = error.message
        return true
      },
    )
  }
  return message
}

const wrong: readonly (readonly [string, object, RegExp])[] = [
  [
    'a scheme in the host',
    { host: 'postgres://app:hunter2@db.example:5432/x' },
    /`host` has a scheme \("postgres:\/\/"\)/,
  ],
  ['a port in the host', { host: `${host}:5432` }, /`host` has a port in it; give it as `port`/],
  ['a path as host', { host: '/var/run/postgresql' }, /`host` is a Unix socket/],
  [
    'an IP address without an endpoint',
    { host: '10.0.0.7' },
    /`host` is an IP address.*add `endpoint`.*10\.0\.0\.7/,
  ],
  ['an IPv6 address without an endpoint', { host: 'fd00::7' }, /`host` is an IP address/],
  ['spaces in the host', { host: 'orders .example' }, /`host` is not a host name/],
  ['spaces around the host', { host: ` ${host}` }, /`host` is not a text without spaces around it/],
  ['an empty host', { host: '' }, /`host` is not a text/],
  ['a number as host', { host: 5 }, /`host` is not a text.*got 5 \(number\)/],
  [
    'a DSQL host',
    { host: 'abc.dsql.us-east-1.on.aws' },
    /Aurora DSQL.*@aws\/aurora-dsql-node-postgres-connector/,
  ],
  ['port 0', { port: 0 }, /`port` is not a port, a whole number from 1 to 65535; got 0 \(number\)/],
  ['port 65536', { port: 65_536 }, /`port` is not a port/],
  ['a port with a fraction', { port: 5432.5 }, /`port` is not a port/],
  ['a word as port', { port: 'postgres' }, /`port` is not a port.*"postgres" \(string\)/],
  ['an empty user', { user: '' }, /`user` is not a text/],
  ['a NUL in the user', { user: 'a\0b' }, /`user` is not a text/],
  ['an empty database', { database: '' }, /`database` is not a text/],
  [
    'a Region of no known form',
    { host: 'db.example', region: 'Ireland' },
    /`region` is not the name of a Region.*"Ireland"/,
  ],
  [
    "a Region other than the endpoint's",
    { region: 'us-east-1' },
    /`region` is not the endpoint's own, eu-west-1/,
  ],
  ['no Region to be found', { host: 'db.example' }, /`region` is missing.*AWS_REGION/],
  ['an endpoint that is a text', { endpoint: host }, /`endpoint` is not of the form \{ host, port\? \}/],
  ['an endpoint without a host', { endpoint: { port: 5432 } }, /`endpoint.host` is missing/],
  ['an endpoint by IP address', { endpoint: { host: '10.0.0.7' } }, /`endpoint.host` is an IP address/],
  ['an endpoint with a scheme', { endpoint: { host: `https://${host}` } }, /`endpoint.host` has a scheme/],
  ['an endpoint with a wrong port', { endpoint: { host, port: -1 } }, /`endpoint.port` is not a port/],
  ['an endpoint with something else', { endpoint: { host, user: 'x' } }, /`endpoint.user` is not an option/],
  [
    'a path as CA',
    { tls: { ca: './certs/ca.pem' } },
    /`tls.ca` is a path \("\.\/certs\/ca\.pem"\); pass the text of the file/,
  ],
  [
    'a CA that is not PEM',
    { tls: { ca: 'MIIB' } },
    /`tls.ca` holds no certificate; got a text of 4 characters/,
  ],
  ['an empty CA', { tls: { ca: '' } }, /`tls.ca` holds no certificate/],
  [
    'a CA that cannot be read',
    { tls: { ca: ca.replace(/\nMII/, '\nMIX') } },
    /`tls.ca` holds a certificate that cannot be read, number 1 of 1/,
  ],
  [
    'a private key as CA',
    { tls: { ca: '-----BEGIN PRIVATE KEY-----\nhunter2\n' } },
    /`tls.ca` holds a private key/,
  ],
  ['a wrong CA in a list', { tls: { ca: [ca, 'MIIB'] } }, /`tls.ca\[1\]` holds no certificate/],
  ['a number as CA', { tls: { ca: 7 } }, /`tls.ca` is not a text in PEM; got 7 \(number\)/],
  [
    'verification switched off',
    // To be refused: it would let the token go to anybody.
    { tls: { rejectUnauthorized: false } },
    /`tls.rejectUnauthorized` is not an option: TLS is always verified/,
  ],
  ['tls as a boolean', { tls: false }, /`tls` is not of the form \{ ca\? \}; got false \(boolean\)/],
  [
    'credentials without a secret',
    { credentials: { accessKeyId: 'AKIA' } },
    /`credentials.secretAccessKey` is missing/,
  ],
  [
    'credentials as STS spells them',
    { credentials: { accessKeyId: 'A', secretAccessKey: 'B', SessionToken: 'hunter2' } },
    /`credentials.SessionToken` is called `sessionToken`/,
  ],
  [
    'an expiration that is a text',
    { credentials: { accessKeyId: 'A', secretAccessKey: 'B', expiration: '2030-01-01' } },
    /`credentials.expiration` is not a valid Date; got "2030-01-01"/,
  ],
  [
    'a token in the host',
    { host: 'db:5432/?Action=connect&X-Amz-Signature=hunter2' },
    /`host` is not a host name; got "db:5432\/\?…"/,
  ],
  [
    'a context key that every object has',
    { contextKey: 'constructor' },
    /`contextKey` is a name that Lambda's context uses itself/,
  ],
  ['credentials as a text', { credentials: 'AKIA:hunter2' }, /`credentials` is not \{ accessKeyId/],
  ['a signer that is a token', { signer: 'hunter2' }, /`signer` is not a function/],
  ['an empty context key', { contextKey: '' }, /`contextKey` is not a text/],
  [
    "a context key of Lambda's own",
    { contextKey: 'awsRequestId' },
    /`contextKey` is a name that Lambda's context uses itself/,
  ],
  ['a word for prefetch', { prefetch: 'yes' }, /`prefetch` is neither true nor false; got "yes" \(string\)/],
  [
    'a word for resetSession',
    { resetSession: 1 },
    /`resetSession` is neither true nor false; got 1 \(number\)/,
  ],
  [
    'a word for retryRefused',
    { retryRefused: 'no' },
    /`retryRefused` is neither true nor false; got "no" \(string\)/,
  ],
  [
    'no time to connect',
    { connectTimeoutMs: 0 },
    /`connectTimeoutMs` is not a whole number from 1 to 900000; got 0/,
  ],
  [
    'an endless time to connect',
    { connectTimeoutMs: Number.POSITIVE_INFINITY },
    /`connectTimeoutMs` .* got Infinity/,
  ],
  [
    'a negative silence',
    { pingAfterIdleMs: -1 },
    /`pingAfterIdleMs` is not a whole number from 0 to 86400000, or false; got -1 \(number\)/,
  ],
  ['true for the silence', { pingAfterIdleMs: true }, /`pingAfterIdleMs` .* got true \(boolean\)/],
  [
    "a margin of a token's whole life",
    { tokenMarginMs: 900_000 },
    /`tokenMarginMs` is not a whole number from 0 to 840000/,
  ],
  ['no connection at all', { max: 0 }, /`max` is not a whole number from 1 to 1000/],
  ['a logger without levels', { logger: { info() {} } }, /`logger` has no method debug, warn, error/],
  ['a logger that is null', { logger: null }, /`logger` has no method/],
  [
    'metrics without a method',
    { metrics: { count() {} } },
    /`metrics` has no method addMetric; got an object/,
  ],
  ['metrics that are a class', { metrics: class {} }, /`metrics` has no method addMetric; got a function/],
  ['metrics that are null', { metrics: null }, /`metrics` has no method addMetric/],
  ['a misspelled option', { databse: 'orders' }, /`databse` is not an option/],
  [
    'a password',
    { password: 'hunter2' },
    /`password` is not an option: an authentication token takes its place/,
  ],
  [
    'a connection string',
    { connectionString: 'postgres://x' },
    /`connectionString` is not an option: give `host`/,
  ],
  // To be refused: node-postgres's own way to switch verification off.
  ['ssl', { ssl: { rejectUnauthorized: false } }, /`ssl` is not an option: TLS is always on and verified/],
  [
    'a password for the driver',
    { client: { password: 'hunter2' } },
    /`client.password` belongs to this package/,
  ],
  [
    'ssl for the driver',
    { client: { ssl: false } },
    /`client.ssl` belongs to this package: TLS is always on/,
  ],
  [
    'a connection string for the driver',
    { client: { connectionString: 'postgres://x' } },
    /`client.connectionString` belongs/,
  ],
  ['a connection for the driver', { client: { connection: {} } }, /`client.connection` belongs/],
  [
    'the option of libpq for the driver',
    { client: { target_session_attrs: 'any' } },
    /`client.target_session_attrs` belongs to this package: give `targetSessionAttrs`/,
  ],
  [
    'the name of libpq',
    { target_session_attrs: 'any' },
    /`target_session_attrs` .*it is called `targetSessionAttrs`/,
  ],
  [
    'a role that an endpoint of its own leads to',
    { targetSessionAttrs: 'standby' },
    /`targetSessionAttrs` is not 'any' or 'read-write'; got .standby/,
  ],
  ['a client class for the pool', { client: { Client: class {} } }, /`client.Client` belongs/],
  [
    'a timeout for the driver',
    { client: { connectionTimeoutMillis: 1 } },
    /`client.connectionTimeoutMillis` .* give `connectTimeoutMs`/,
  ],
  [
    'driver options that are a list',
    { client: [] },
    /`client` is not an object of driver options; got an array/,
  ],
]

const mysql: readonly Factory[] = [iamMysqlPool, iamMysql]
const ofDriver = /for the driver|for the pool/

for (const [what, options, message] of wrong.filter(([what]) => !ofDriver.test(what))) {
  test(`refuses ${what}, with MySQL too`, () => {
    const text = refusal({ ...right, ...options }, mysql)
    assert.match(text, message)
    assert.match(text, /: an option is wrong:\n- /, 'and nothing else')
    assert.doesNotMatch(text, /hunter2/, 'without a secret')
  })
}

for (const [name, value] of Object.entries({
  ...{
    host: 'x',
    port: 1,
    user: 'x',
    database: 'x',
    uri: 'mysql://x:hunter2@y',
    socketPath: '/tmp/mysql.sock',
  },
  ...{ password: 'hunter2', password1: 'hunter2', password2: 'hunter2', password3: 'hunter2' },
  // `ssl` is to be refused as all of these are: mysql2's own way to switch verification off.
  ...{ passwordSha1: 'hunter2', ssl: { rejectUnauthorized: false }, authPlugins: {}, authSwitchHandler() {} },
  ...{ enableCleartextPlugin: true, insecureAuth: true, stream() {}, isServer: true, pool: {}, debug: true },
  ...{ connectTimeout: 1, connectionLimit: 1, resetOnRelease: true, Promise },
})) {
  test(`refuses \`client.${name}\` for mysql2, and says why`, () => {
    const text = refusal({ ...right, client: { [name]: value } }, mysql)
    assert.match(text, new RegExp(`\`client\\.${name}\` belongs to this package: [a-zA-Z\`]`))
    assert.doesNotMatch(text, /hunter2/)
  })
}

test('passes the other options of mysql2', () => {
  for (const factory of mysql) {
    factory({
      ...right,
      client: {
        multipleStatements: true,
        namedPlaceholders: true,
        typeCast: false,
        compress: true,
        maxIdle: 1,
      },
    } as never)
  }
})

test('takes the host, the port, the user and the database of MySQL from its own environment variables', () => {
  assert.match(refusal({}, mysql), /`host` is missing; give it, or set MYSQL_HOST(.|\n)*set MYSQL_USER/)
  const fromThere = { MYSQL_HOST: 'mysql://db', MYSQL_TCP_PORT: 'x', MYSQL_USER: ' a', MYSQL_DATABASE: ' b' }
  Object.assign(process.env, fromThere, { AWS_REGION: 'eu-west-1' })
  const text = refusal({}, mysql)
  for (const name of Object.keys(fromThere)) assert.ok(text.includes(`\`${name}\``), name)
})

for (const [what, options, message] of wrong) {
  test(`refuses ${what}`, () => {
    const text = refusal({ ...right, ...options })
    assert.match(text, message)
    assert.match(text, /: an option is wrong:\n- /, 'and nothing else')
    assert.doesNotMatch(text, /hunter2/, 'without a secret')
  })
}

for (const [what, options, message] of [
  ['null', null, /`options` is not an object; got null/],
  ['a text', 'postgres://db', /`options` is not an object/],
  [
    'nothing, with no environment',
    undefined,
    /`host` is missing; give it, or set PGHOST(.|\n)*`user` is missing; give it, or set PGUSER/,
  ],
] as const) {
  test(`refuses ${what} as options`, () => assert.match(refusal(options), message))
}

test('names every problem at once', () => {
  assert.match(
    refusal({ host: 'x y', port: 0, contextKey: '', max: -1 }),
    /5 options are wrong:\n- `host` .*\n- `user` .*\n- `port` .*\n- `contextKey` .*\n- `max` /,
  )
})

test('names the environment variable where the wrong value came from', () => {
  Object.assign(process.env, { PGHOST: 'postgres://db', PGPORT: 'x', PGUSER: 'app', AWS_REGION: 'eu-west-1' })
  assert.match(refusal({}), /`PGHOST` has a scheme.*\n.*`PGPORT` is not a port.*"x"/)
})

test('falls back to the environment, and prefers options', () => {
  Object.assign(process.env, { PGHOST: host, PGPORT: '6543', PGUSER: 'app', PGDATABASE: 'shop' })
  const { port, user, database } = readSettings(engine, undefined)
  assert.deepEqual({ host, port, user, database }, { host, port: 6543, user: 'app', database: 'shop' })
  const preferred = readSettings(engine, {
    host: 'other.c1x2.eu-west-1.rds.amazonaws.com',
    port: 1,
    user: 'u',
    database: 'd',
  })
  assert.deepEqual(
    [preferred.host, preferred.port, preferred.user, preferred.database],
    ['other.c1x2.eu-west-1.rds.amazonaws.com', 1, 'u', 'd'],
  )
})

test('takes an empty environment variable for none', () => {
  Object.assign(process.env, { PGHOST: '', PGPORT: '', AWS_REGION: '' })
  assert.equal(readSettings(engine, right).port, 5432)
})

test("takes the Region from the endpoint's name, then the option, then the environment", () => {
  process.env.AWS_REGION = 'us-east-1'
  const regionOf = (options: object) => readSettings(engine, { ...right, ...options }).region
  assert.equal(regionOf({}), 'eu-west-1')
  assert.equal(regionOf({ host: 'db.example', region: 'ap-south-2' }), 'ap-south-2')
  assert.equal(regionOf({ host: 'db.example' }), 'us-east-1')
  assert.equal(regionOf({ host: 'db.example', endpoint: { host } }), 'eu-west-1')
  assert.equal(regionOf({ host: 'x.c1.rds.cn-north-1.amazonaws.com.cn' }), 'cn-north-1')
})

test('leaves the Region of a global database to DNS, unless the option says it', () => {
  const global = { host: 'orders.global-c1x2.global.rds.amazonaws.com' }
  const regionOf = (options: object) => {
    const { region, followsWriter } = readSettings(engine, { ...right, ...options })
    return [region, followsWriter]
  }
  assert.deepEqual(regionOf(global), ['', true])
  process.env.AWS_REGION = 'us-east-1'
  assert.deepEqual(regionOf(global), ['us-east-1', true])
  assert.deepEqual(regionOf({ host: 'localhost', endpoint: global }), ['us-east-1', true])
  assert.deepEqual(regionOf({ ...global, region: 'eu-central-1' }), ['eu-central-1', false])
  assert.deepEqual(regionOf({}), ['eu-west-1', false])
})

test('lower-cases the host, because tokens are signed for it so', () => {
  assert.deepEqual(readSettings(engine, { ...right, host: host.toUpperCase() }).endpoint, {
    host,
    port: 5432,
  })
})

test('signs for the endpoint where the host is another name for it', () => {
  const tunnel = { ...right, host: '127.0.0.1', port: 15432 }
  assert.deepEqual(readSettings(engine, { ...tunnel, endpoint: { host, port: 5433 } }).endpoint, {
    host,
    port: 5433,
  })
})

test('wants a writer by default where the endpoint is the one of a writer, whatever is dialled', () => {
  const cluster = 'orders.cluster-c1x2.eu-west-1.rds.amazonaws.com'
  const wanted = (options: object) => readSettings(engine, { ...right, ...options }).targetSessionAttrs
  assert.equal(wanted({ host: cluster }), 'read-write')
  assert.equal(wanted({ host: cluster.toUpperCase() }), 'read-write')
  assert.equal(wanted({ host: '127.0.0.1', endpoint: { host: cluster } }), 'read-write')
  assert.equal(wanted({ host: cluster, targetSessionAttrs: 'any' }), 'any')
  for (const kind of ['', 'cluster-ro-', 'cluster-custom-', 'proxy-'])
    assert.equal(wanted({ host: `orders.${kind}c1x2.eu-west-1.rds.amazonaws.com` }), 'any', kind)
  assert.equal(wanted({ host: 'localhost', region: 'eu-west-1' }), 'any')
  assert.equal(wanted({ targetSessionAttrs: 'read-write' }), 'read-write')
})

test('keeps the defaults that are documented', () => {
  const {
    port,
    database,
    contextKey,
    prefetch,
    connectTimeoutMs,
    retryRefused,
    pingAfterIdleMs,
    tokenMarginMs,
    resetSession,
    max,
  } = readSettings(engine, right)
  assert.deepEqual(
    {
      port,
      database,
      contextKey,
      prefetch,
      connectTimeoutMs,
      retryRefused,
      pingAfterIdleMs,
      tokenMarginMs,
      resetSession,
      max,
    },
    {
      port: 5432,
      database: 'orders_app',
      contextKey: 'db',
      prefetch: true,
      connectTimeoutMs: 10_000,
      retryRefused: true,
      pingAfterIdleMs: 10_000,
      tokenMarginMs: 60_000,
      resetSession: true,
      max: 10,
    },
  )
})

test('accepts certificates as text, bytes and lists, and any Powertools logger or console', () => {
  const { ca: found } = readSettings(engine, {
    ...right,
    tls: { ca: [ca + ca, Buffer.from(ca)] },
    logger: console,
  })
  assert.equal(found.length, 3)
})

test('takes an option of the driver that is undefined for none', () => {
  assert.deepEqual(
    readSettings(engine, { ...right, client: { sslnegotiation: undefined, keepAlive: true } }).client,
    {
      keepAlive: true,
    },
  )
})

test('goes on where the logger throws', () => {
  const broken = () => {
    throw new Error('disk full')
  }
  const logger = { debug: broken, info: broken, warn: broken, error: broken }
  readSettings(engine, { ...right, logger }).logger?.warn('a line', {})
})

test('does not change what it was given', () => {
  const options = Object.freeze({
    ...right,
    client: Object.freeze({ application_name: 'x' }),
    tls: Object.freeze({ ca }),
  })
  assert.notEqual(readSettings(engine, options).client, options.client)
})
