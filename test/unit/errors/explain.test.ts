import assert from 'node:assert/strict'
import { once } from 'node:events'
import { registerHooks } from 'node:module'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { createWriterRegion } from '../../../src/access/writer-region.ts'
import { type Attempt, explain, findExplanation } from '../../../src/errors/explain.ts'
import { mysqlFailures } from '../../../src/errors/mysql-failures.ts'
import { postgresFailures } from '../../../src/errors/postgres-failures.ts'
import { RdsIamError, type RdsIamErrorCode } from '../../../src/errors/rds-iam-error.ts'
import { iamMysql } from '../../../src/mysql2.ts'
import { createPgPool, iamPg } from '../../../src/pg.ts'
import type { AwsCredentials, AwsCredentialsProvider } from '../../../src/token/credentials.ts'
import { createSigner } from '../../../src/token/signer.ts'
import { loadRoots } from '../../../src/trust/roots.ts'
import {
  account,
  driverCodeOf,
  type EngineName,
  fitsLiteral,
  knownFailures,
  target,
} from '../../servers/failures/known.ts'
import { readPage } from '../../support/pages.ts'

const attempt: Attempt = {
  user: 'app',
  host: 'orders.c1x2.eu-west-1.rds.amazonaws.com',
  port: 5432,
  database: 'orders',
  region: 'eu-west-1',
  endpoint: { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 },
  failures: postgresFailures,
}

const fail = (message: string, code?: string) => Object.assign(new Error(message), code && { code })

const failuresOf = { postgres: postgresFailures, mysql: mysqlFailures }

/** What this package says before there is anything to diagnose. */
const thrown: Readonly<Record<string, () => unknown>> = {
  'iamPg: 2 options are wrong:…': () => iamPg({ host: attempt.host, port: 0, user: 'app', max: 0 }),
  'iamMysql: an option is wrong:…': () => iamMysql({ host: attempt.host, port: 0, user: 'app' }),
  'Could not sign an authentication token for …': () =>
    sign({ credentials: () => Promise.reject(new Error('no role')) }),
  'The AWS credentials expired at …': () =>
    sign({ credentials: { accessKeyId: 'key', secretAccessKey: 'secret', expiration: new Date(1) } }),
  'The signer did not return an authentication token for …': () => sign({ signer: () => 'secret' }),
  'No certificate authorities of Amazon RDS are there for …': loadWithoutCarriedRoots,
  'DNS does not tell in which Region the writer of … is: …': () =>
    createWriterRegion({
      host: 'orders.global-c1x2.global.rds.amazonaws.com',
      fallback: undefined,
      tell: () => {},
      resolveCname: () => Promise.reject(new Error('no answer')),
    })(),
  'The pool or middleware was closed; no connection is opened to …': askAfterClosing,
}

/** What is said in a bundle that leaves the authorities out. */
async function loadWithoutCarriedRoots(): Promise<void> {
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      if (!specifier.startsWith('middy-rds-iam/roots')) return next(specifier, context)
      throw Object.assign(new Error('left out'), { code: 'ERR_MODULE_NOT_FOUND' })
    },
  })
  try {
    const endpoint = { host: attempt.host, port: 5432 }
    await loadRoots({ region: attempt.region, endpoint, ca: [], extraCaFile: undefined })
  } finally {
    hooks.deregister()
  }
}

/** What a pool says once it was closed. */
async function askAfterClosing(): Promise<void> {
  const pool = createPgPool({ host: attempt.host, user: 'app' })
  await pool.close()
  await pool.query('select 1')
}

const sign = (given: { credentials?: AwsCredentials | AwsCredentialsProvider; signer?: () => string }) =>
  createSigner({
    request: { host: attempt.host, port: 5432, region: attempt.region, user: 'app' },
    credentials: given.credentials,
    signer: given.signer,
  })()

for (const row of knownFailures) {
  const { engines, code, message, check, from, token } = row
  const literal = message.replaceAll('…', 'x')
  for (const engine of engines) {
    const driverCode = driverCodeOf(row, engine)
    test(`${code} for "${message}" ${driverCode ?? 'without a code'}, ${token ?? 'any'} token, ${engine}, ${from}`, async () => {
      const isThrown = Object.hasOwn(thrown, message)
      const cause = fail(literal, driverCode)
      const error = isThrown
        ? await (async () => thrown[message]?.())().catch(error => error)
        : explain(cause, { ...attempt, ...target, account, token, failures: failuresOf[engine] })
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, code)
      assert.match(error.message, check)
      assert.match(error.docs, new RegExp(`#${code.toLowerCase()}$`))
      if (isThrown) {
        assert.ok(fitsLiteral(error.message, message), error.message)
      } else {
        assert.equal(error.cause, cause)
        const code = driverCode === undefined || literal.includes(driverCode) ? '' : ` (${driverCode})`
        const attempted =
          'Could not connect as orders_app@orders.c1x2.eu-west-1.rds.amazonaws.com:5432/orders in eu-west-1'
        assert.ok(error.message.startsWith(`${attempted}: ${literal}${code}. `), error.message)
      }
    })
  }
}

test('what PostgreSQL says means the same where a pooler passes it on under its own code', () => {
  const rows = knownFailures.filter(
    ({ engines, driverCode = '' }) => engines.join() === 'postgres' && /^[0-9][0-9A-Z]{4}$/.test(driverCode),
  )
  assert.ok(rows.length > 30)
  for (const { message, code, check, token } of rows) {
    const cause = fail(message.replaceAll('…', 'x'), '08P01')
    const error = explain(cause, { ...attempt, ...target, account, token })
    assert.equal(error.code, code, error.message)
    assert.match(error.message, check)
  }
})

test('docs/errors.md names every failure under the heading of its code, and no other', () => {
  const [, ...parts] = readPage('docs/errors.md').text.split(/^## /m)
  const documented = parts.flatMap(part => {
    const code = /^\w+/.exec(part)?.[0]
    const items = part.replace(/\n +/g, ' ').matchAll(/^- (.*)$/gm)
    // What an item is about stands before the colon behind its last message.
    return [...items].flatMap(([, item = '']) => {
      const head = /^(?:(?:(?:RDS Proxy|PgBouncer): )?`[^`]+`(?: \(\w+\))?(?:, |(?=: )))+/.exec(item)?.[0]
      assert.ok(head, `no message: ${item}`)
      return [...head.matchAll(/`([^`]+)`(?: \((\w+)\))?/g)].map(([, message, driverCode]) =>
        [code, message, driverCode ?? ''].join(' | '),
      )
    })
  })
  const known = knownFailures.map(({ code, message, driverCode = '' }) =>
    [code, message, driverCode].join(' | '),
  )
  assert.deepEqual(documented.sort(), known.sort())
})

/** What is too rare for docs/errors.md. */
const rare: readonly (readonly [EngineName, Error, RdsIamErrorCode, RegExp?])[] = [
  [
    'postgres',
    fail('Connection terminated due to connection timeout'),
    'RDS_IAM_UNREACHABLE',
    /security group/,
  ],
  [
    'postgres',
    fail('There was an error establishing an SSL connection'),
    'RDS_IAM_TRUST',
    /host and the port are those of the RDS database/,
  ],
  ['postgres', fail('unsuitable certificate purpose', 'INVALID_PURPOSE'), 'RDS_IAM_TRUST'],
  ['postgres', fail('certificate revoked', 'CERT_REVOKED'), 'RDS_IAM_TRUST'],
  ['postgres', fail('certificate rejected', 'CERT_REJECTED'), 'RDS_IAM_TRUST'],
  ['postgres', fail('certificate chain too long', 'CERT_CHAIN_TOO_LONG'), 'RDS_IAM_TRUST'],
  ['postgres', fail('path length constraint exceeded', 'PATH_LENGTH_EXCEEDED'), 'RDS_IAM_TRUST'],
  [
    'postgres',
    fail(
      '00:error:0A00010B:SSL routines:ssl3_get_record:wrong version number',
      'ERR_SSL_WRONG_VERSION_NUMBER',
    ),
    'RDS_IAM_TRUST',
    /does not speak TLS as RDS/,
  ],
  [
    'postgres',
    fail('certificate authentication failed for user "app"', '28000'),
    'RDS_IAM_ACCESS_DENIED',
    /its words above tell/,
  ],
  ['mysql', fail('unsuitable certificate purpose', 'HANDSHAKE_SSL_ERROR'), 'RDS_IAM_TRUST'],
  [
    'mysql',
    fail('IAM is allowed only with SSL connections'),
    'RDS_IAM_TRUST',
    /something on the way ends it/,
  ],
  ['mysql', fail('Connection was killed'), 'RDS_IAM_UNAVAILABLE', /ended the connection/],
  [
    'mysql',
    fail('Unexpected packet during handshake phase', 'HANDSHAKE_UNKNOWN_ERROR'),
    'RDS_IAM_UNAVAILABLE',
    /does not speak as MySQL/,
  ],
]

for (const [engine, cause, code, check] of rare) {
  test(`${code} for "${cause.message}", ${engine}`, () => {
    const error = explain(cause, { ...attempt, failures: failuresOf[engine] })
    assert.equal(error.code, code)
    if (check !== undefined) assert.match(error.message, check)
  })
}

test('quotes the user and the database in the SQL that it suggests to MySQL', () => {
  const odd = { ...attempt, user: "o'app", database: 'or`ders', failures: mysqlFailures }
  const denied = fail('Access denied to database', 'ER_DBACCESS_DENIED_ERROR')
  assert.match(explain(denied, odd).message, /ON `or``ders`\.\* TO 'o''app'@'%'/)
})

test('names no database where there is none', () => {
  const { message } = explain(fail('x'), { ...attempt, database: '', failures: mysqlFailures })
  assert.match(message, /app@orders\.c1x2\.[\w.-]+:5432 in eu-west-1/)
})

const refusal = fail('PAM authentication failed for user "app"', '28000')

for (const [endpointHost, resourceId] of [
  ['orders.proxy-c1x2.eu-west-1.rds.amazonaws.com', '<prx-…>'],
  ['readers.endpoint.proxy-c1x2.eu-west-1.rds.amazonaws.com', '<prx-…>'],
  ['orders.cluster-c1x2.eu-west-1.rds.amazonaws.com', '<cluster-…>'],
  ['orders.cluster-ro-c1x2.eu-west-1.rds.amazonaws.com', '<cluster-…>'],
  ['orders.global-c1x2.global.rds.amazonaws.com', '<cluster-…>'],
  ['proxy-orders.c1x2.eu-west-1.rds.amazonaws.com', '<DbiResourceId>'],
] as const) {
  test(`says which kind of resource id the ARN needs for ${endpointHost}`, () => {
    const { message } = explain(refusal, { ...attempt, endpoint: { host: endpointHost, port: 5432 } })
    assert.ok(message.includes(`:dbuser:${resourceId}/app;`), message)
  })
}

for (const [region, partition] of [
  ['eu-west-1', 'aws'],
  ['cn-north-1', 'aws-cn'],
  ['us-gov-west-1', 'aws-us-gov'],
  ['eusc-de-east-1', 'aws-eusc'],
] as const) {
  test(`gives the ARN that the role needs in the partition of ${region}, with the invocation’s account`, () => {
    const { message } = explain(refusal, { ...attempt, region, account: '123456789012' })
    assert.ok(message.includes(` arn:${partition}:rds-db:${region}:123456789012:dbuser:<DbiResourceId>/app;`))
  })
}

test('gives the remedy by itself too, to whoever asks for it, and to no logger twice', () => {
  const error = explain(fail('connect ECONNREFUSED', 'ECONNREFUSED'), attempt)
  assert.match(error.remedy ?? '', /^Nothing listens there\. .*\.$/)
  assert.ok(error.message.endsWith(`: connect ECONNREFUSED. ${error.remedy}`))
  assert.deepEqual(Object.keys(error).sort(), ['code', 'docs', 'name'])
  assert.deepEqual(findExplanation(error, attempt), findExplanation(error.cause, attempt))
  assert.equal(new RdsIamError('RDS_IAM_DATABASE', 'Nothing is known.').remedy, undefined)
})

test('marks the account in the ARN as missing where nobody knows it', () => {
  assert.match(
    explain(refusal, attempt).message,
    / arn:aws:rds-db:eu-west-1:<account>:dbuser:<DbiResourceId>\/app;/,
  )
})

test('names the endpoint beside the host where they differ', () => {
  const { message } = explain(fail('timeout expired'), { ...attempt, host: 'localhost', port: 15432 })
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
  const error = explain(Object.assign(cause, { code: 'ECONNREFUSED' }), attempt)
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
  const error = explain(cause, attempt)
  assert.equal(error.code, 'RDS_IAM_UNREACHABLE')
  assert.match(error.message, /connect ECONNREFUSED/)
})

for (const [host, cause, check] of [
  [
    'host.docker.internal',
    fail('getaddrinfo ENOTFOUND host.docker.internal', 'ENOTFOUND'),
    /`--add-host host\.docker\.internal:host-gateway` of `sam local invoke`/,
  ],
  [
    'host.containers.internal',
    fail('getaddrinfo EAI_AGAIN host.containers.internal', 'EAI_AGAIN'),
    /`--add-host host\.containers\.internal:host-gateway`/,
  ],
  [
    'host.docker.internal',
    fail('connect ECONNREFUSED 172.17.0.1:6432', 'ECONNREFUSED'),
    /for containers\. .*`--host 172\.17\.0\.1`/,
  ],
  ['host.docker.internal', fail('timeout expired'), /firewall .*`--host 172\.17\.0\.1`/],
  [
    'host.docker.internal',
    fail('self-signed certificate in certificate chain', 'SELF_SIGNED_CERT_IN_CHAIN'),
    /the gateway that runs now/,
  ],
  [
    'localhost',
    fail('unable to verify the first certificate', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    /the gateway that runs now/,
  ],
] as const) {
  test(`speaks of containers and gateways, and of no VPC, to whoever reaches for ${host}: ${cause.message}`, () => {
    const { message } = explain(cause, { ...attempt, host, endpoint: { host, port: 6432 } })
    assert.match(message, check)
    assert.doesNotMatch(message, /VPC|Amazon RDS/)
  })
}

test('passes an error of this package through as it is', () => {
  const error = new RdsIamError('RDS_IAM_CREDENTIALS', 'no credentials')
  assert.equal(explain(error, attempt), error)
})

test('does not take an error that it does not know for any of those it knows', () => {
  const cause = fail('the moon is in the wrong phase', 'XX000')
  const error = explain(cause, attempt)
  assert.equal(error.code, 'RDS_IAM_DATABASE')
  assert.equal(error.cause, cause)
  assert.match(error.message, /: the moon is in the wrong phase \(XX000\)\.$/)
})

for (const cause of ['a text', undefined, null, 42, { code: 'ECONNREFUSED' }]) {
  test(`keeps a cause that is no error: ${JSON.stringify(cause) ?? 'undefined'}`, () => {
    const error = explain(cause, attempt)
    assert.ok(error instanceof RdsIamError)
    assert.equal(error.cause, cause)
    assert.ok(error.message.includes(String(cause)))
  })
}

test('takes a message of PostgreSQL about a password in a session for what its code says', () => {
  const error = explain(fail('role "reporting" does not exist', '22023'), attempt)
  assert.notEqual(error.code, 'RDS_IAM_NOT_GRANTED')
})

test('takes an error that no rule knows for a database’s word only where it carries a code of the server', () => {
  assert.equal(explain(fail('something new', 'ZZ999'), attempt).code, 'RDS_IAM_DATABASE')
  assert.equal(explain(fail('something new'), attempt).code, 'RDS_IAM_UNREACHABLE')
  assert.equal(explain(fail('something new', 'EPERM'), attempt).code, 'RDS_IAM_UNREACHABLE')
})

test('says which variable makes pg look for pg-native', () => {
  const { code, message } = explain(fail("Cannot find module 'pg-native'", 'MODULE_NOT_FOUND'), attempt)
  assert.equal(code, 'RDS_IAM_OPTIONS')
  assert.match(message, /Unset NODE_PG_FORCE_NATIVE/)
})
