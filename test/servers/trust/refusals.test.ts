import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import middy from '@middy/core'
import pg from 'pg'
import { type IssuedCertificate, makeAuthority } from '../../../kit/src/index.ts'
import { type IamPgOptions, iamPg, iamPgPool, RdsIamError } from '../../../src/pg.ts'
import { credentials } from '../../support/database.ts'
import { setEnvironment } from '../../support/environment.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import {
  type Opening,
  passwordRequest,
  sslRequest,
  startRecordingServer,
} from '../../support/recording-server.ts'
import { makeSelfSigned } from '../../support/self-signed.ts'

const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
const dayMs = 86_400_000
const days = (count: number) => new Date(Date.now() + count * dayMs)

const [authority, stranger] = await Promise.all([makeAuthority('trusted'), makeAuthority('stranger')])
const issue = (...names: string[]): Promise<IssuedCertificate> => authority.issue({ names })
const selfSigned = makeSelfSigned('localhost')
const forClients = makeSelfSigned('localhost', 'clientAuth')
const answer = (...parts: (string | Buffer)[]): Opening => ({
  plaintext: Buffer.concat(parts.map(part => Buffer.from(part))),
})

/** What a middleware of either kind needs to reach a server on this machine. */
const address = {
  host: 'localhost',
  user: 'app',
  region: 'eu-west-1',
  tls: { ca: authority.ca },
  credentials,
}

type Options = Pick<IamPgOptions, 'host' | 'endpoint' | 'tls' | 'client' | 'region'>

const acquireClient = (options: IamPgOptions): Promise<unknown> =>
  middy()
    .use(iamPg(options))
    .handler(async (_event, { db }) => {
      await db.query('')
      await db.end()
    })(undefined, lambdaContext() as never)

const acquirePool = (options: IamPgOptions): Promise<unknown> =>
  middy()
    .use(iamPgPool(options))
    .handler(async (_event, { db }) => {
      await db.query('')
      await db.end()
    })(undefined, lambdaContext() as never)

const kinds = { iamPg: acquireClient, iamPgPool: acquirePool }

const accepted: readonly (readonly [string, () => Opening | Promise<Opening>, Options])[] = [
  ['a certificate for the host', () => issue('localhost'), {}],
  ['direct TLS', () => issue('localhost'), { client: { sslnegotiation: 'direct' } }],
  ['the endpoint behind another name', () => issue(endpoint.host), { endpoint }],
  ['the endpoint behind an IP address', () => issue(endpoint.host), { endpoint, host: '127.0.0.1' }],
]

const refused: readonly (readonly [string, () => Opening | Promise<Opening>, Options?])[] = [
  ['a certificate of an unknown authority', () => stranger.issue({ names: ['localhost'] })],
  [
    'a certificate of an unknown authority, in a Region whose authorities nobody knows',
    () => issue('localhost'),
    { region: 'xx-future-1', tls: undefined },
  ],
  ['a self-signed certificate', () => selfSigned],
  ['a certificate for another host', () => issue('db.example.com')],
  [
    'a certificate for an unknown authority’s endpoint',
    () => stranger.issue({ names: [endpoint.host] }),
    { endpoint },
  ],
  [
    'a certificate for another RDS host of the Region',
    () => issue('other.c1x2.eu-west-1.rds.amazonaws.com'),
    { endpoint },
  ],
  ['a certificate for the dialled name where an endpoint is given', () => issue('localhost'), { endpoint }],
  [
    'a certificate for the IP address where an endpoint is given',
    () => issue('127.0.0.1', 'localhost'),
    { endpoint, host: '127.0.0.1' },
  ],
  [
    'an expired certificate',
    () => authority.issue({ names: ['localhost'], notBefore: days(-0.9), notAfter: days(-0.1) }),
  ],
  [
    'a certificate of tomorrow',
    () => authority.issue({ names: ['localhost'], notBefore: days(1), notAfter: days(2) }),
  ],
  ['a trusted certificate for clients', () => forClients, { tls: { ca: forClients.cert } }],
  [
    'direct TLS with a certificate for another host',
    () => issue('db.example.com'),
    { client: { sslnegotiation: 'direct' } },
  ],
  ['no TLS', () => answer('N')],
  ['a request for the password in place of TLS', () => answer(passwordRequest)],
  ['a yes to TLS and a request for the password in one', () => answer('S', passwordRequest)],
]

for (const [kind, acquire] of Object.entries(kinds)) {
  for (const [title, open, options] of accepted) {
    test(`${kind} gives its token to ${title}`, async () => {
      const server = await startRecordingServer(await open())
      await acquire({ ...address, port: server.port, ...options })
      const received = await server.received()
      assert.match(received, /Action=connect&.*X-Amz-Signature=/)
      assert.match(received, /DBUser=app/)
    })
  }

  for (const [title, open, options] of refused) {
    test(`${kind} gives no byte of a token to ${title}`, async () => {
      const server = await startRecordingServer(await open())
      const error = await acquire({ ...address, port: server.port, ...options }).catch(error => error)
      await assertNoToken(server, error)
    })
  }
}

/**
 * The server was asked, and could read nothing but the request for TLS, neither of a token nor of who wanted what; the caller knows
 * that it is a matter of trust.
 */
async function assertNoToken(
  server: Awaited<ReturnType<typeof startRecordingServer>>,
  error: unknown,
): Promise<void> {
  assert.ok(error instanceof RdsIamError, inspect(error))
  const received = await server.received()
  assert.ok(server.connections() > 0, 'the server was never asked')
  assert.doesNotMatch(received, /X-Amz-|DBUser/)
  assert.ok(received === '' || received === sslRequest, JSON.stringify(received))
  assert.equal(error.code, 'RDS_IAM_TRUST', error.message)
}

for (const [kind, acquire] of Object.entries(kinds)) {
  test(`${kind} says once that nobody knows the authorities of the Region, and connects by \`tls.ca\``, async t => {
    setEnvironment(t, { NODE_EXTRA_CA_CERTS: undefined })
    const server = await startRecordingServer(await issue('localhost'))
    const logger = recordingLogger()
    const options = { ...address, port: server.port, region: 'xx-future-1', logger }
    // Of one on this machine, the remedy speaks of the gateway.
    const endpoint = { host: 'orders.c1x2.xx-future-1.rds.amazonaws.com' }
    const error = await acquire({ ...options, endpoint, tls: undefined }).catch(error => error)
    assert.match(
      String(error),
      /the text of the certificate bundle that the documentation of RDS in xx-future-1 names/,
    )
    const told = logger.lines.filter(({ fields }) => fields.event === 'trust:incomplete')
    assert.deepEqual(
      told.map(({ level, fields }) => [level, fields.region]),
      [['warn', 'xx-future-1']],
    )
    assert.match(
      String(told[0]?.fields.remedy),
      /^No certificate authorities of Amazon RDS are known for xx-future-1/,
    )

    logger.lines.length = 0
    await acquire(options)
    assert.match(await server.received(), /X-Amz-Signature=/)
    assert.ok(logger.lines.every(({ fields }) => fields.event !== 'trust:incomplete'))
  })

  test(`${kind} is not talked out of verification by pg.defaults`, async t => {
    const before = { ...pg.defaults }
    t.after(() => Object.assign(pg.defaults, before))
    // Must have no effect: the process's defaults for pg, as other code may have set them.
    Object.assign(pg.defaults, { ssl: { rejectUnauthorized: false }, password: 'secret-default' })
    for (const opening of [await stranger.issue({ names: ['localhost'] }), answer('N')]) {
      const server = await startRecordingServer(opening)
      const error = await acquire({ ...address, port: server.port }).catch(error => error)
      await assertNoToken(server, error)
      assert.doesNotMatch(await server.received(), /secret-default/)
    }
    Object.assign(pg.defaults, { ssl: false })
    const server = await startRecordingServer(answer('N'))
    await assertNoToken(server, await acquire({ ...address, port: server.port }).catch(error => error))
  })
}

/** Options of pg by which verification would be switched off or the token would go elsewhere: each is to be refused. */
const openings = {
  // Would take any certificate.
  ssl: { rejectUnauthorized: false },
  connectionString: 'postgres://app:hunter2@localhost/orders?sslmode=disable',
  password: 'hunter2',
  host: 'localhost',
  port: 5432,
  user: 'app',
  database: 'orders',
  connection: {},
  Client: class {},
  replication: 'database',
}

for (const [kind, create] of Object.entries({ iamPg, iamPgPool })) {
  for (const [name, value] of Object.entries(openings)) {
    test(`${kind} refuses \`client.${name}\` at the factory`, () => {
      assert.throws(
        () => create({ ...address, client: { [name]: value } }),
        (error: unknown) => {
          assert.ok(error instanceof RdsIamError)
          assert.equal(error.code, 'RDS_IAM_OPTIONS')
          assert.match(error.message, new RegExp(`\`client\\.${name}\` belongs to this package`))
          assert.doesNotMatch(inspect(error), /hunter2/)
          return true
        },
      )
    })
  }

  for (const [name, options] of Object.entries({
    ssl: { ssl: false },
    password: { password: 'hunter2' },
    connectionString: { connectionString: openings.connectionString },
    // To be refused: there is no such option.
    'tls.rejectUnauthorized': { tls: { rejectUnauthorized: false } },
    'tls.checkServerIdentity': { tls: { checkServerIdentity: () => undefined } },
    'tls.servername': { tls: { servername: 'db.example.com' } },
  })) {
    test(`${kind} has no option \`${name}\``, () => {
      assert.throws(
        () => create({ ...address, ...(options as object) }),
        (error: unknown) => {
          assert.ok(error instanceof RdsIamError)
          assert.equal(error.code, 'RDS_IAM_OPTIONS')
          assert.match(error.message, new RegExp(`\`${name.replace('.', '\\.')}\` is not an option`))
          assert.doesNotMatch(inspect(error), /hunter2/)
          return true
        },
      )
    })
  }
}
