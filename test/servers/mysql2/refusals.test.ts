// To whom a token goes, and to whom not a byte of one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import middy, { type MiddlewareObj } from '@middy/core'
import { type Connection, createConnection } from 'mysql2/promise'
import { makeAuthority } from '../../../kit/src/index.ts'
import { type IamMysqlOptions, iamMysql, iamMysqlPool, RdsIamError } from '../../../src/mysql2.ts'
import { credentials } from '../../support/database.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { runModule } from '../../support/node-process.ts'
import {
  greetingWithoutTls,
  type MysqlOpening,
  mysqlGreeting,
  packet,
  startRecordingMysqlServer,
  switchTo,
} from '../../support/recording-mysql-server.ts'
import { makeSelfSigned } from '../../support/self-signed.ts'

const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 3306 }
const days = (count: number) => new Date(Date.now() + count * 86_400_000)
const [authority, stranger] = await Promise.all([makeAuthority('trusted'), makeAuthority('stranger')])
const certificate = await authority.issue({ names: ['localhost'] })
const forEndpoint = await authority.issue({ names: [endpoint.host] })

const address = {
  host: 'localhost',
  user: 'app',
  region: 'eu-west-1',
  tls: { ca: authority.ca },
  credentials,
}

type Options = Pick<IamMysqlOptions, 'host' | 'endpoint' | 'tls' | 'client'>

/** A function that acquires a connection, uses it, and ends it. */
const prepare = (create: (options: IamMysqlOptions) => object, options: IamMysqlOptions) => {
  const handler = middy()
    .use(create(options) as MiddlewareObj)
    .handler(async (_event, context) => {
      const { db } = context as unknown as { db: Connection }
      await db.query('DO 1')
      await db.end()
    })
  return async () => handler(undefined, lambdaContext() as never)
}

const kinds = {
  iamMysql: (options: IamMysqlOptions) => prepare(iamMysql, options),
  iamMysqlPool: (options: IamMysqlOptions) => prepare(iamMysqlPool, options),
}

const accepted: readonly (readonly [string, MysqlOpening, Options])[] = [
  ['a certificate for the host', { certificate }, {}],
  ['the endpoint behind another name', { certificate: forEndpoint }, { endpoint }],
  ['the endpoint behind an IP address', { certificate: forEndpoint }, { endpoint, host: '127.0.0.1' }],
  [
    'a server whose own plugin is the one for tokens',
    { certificate, greeting: mysqlGreeting(undefined, 'mysql_clear_password') },
    {},
  ],
]

const noToken = /X-Amz-|DBUser|Action=connect/

const untrusted: readonly (readonly [string, MysqlOpening | Promise<MysqlOpening>, Options?])[] = [
  ['a certificate of an unknown authority', { certificate: await stranger.issue({ names: ['localhost'] }) }],
  ['a self-signed certificate', { certificate: makeSelfSigned('localhost') }],
  ['a certificate for another host', { certificate: await authority.issue({ names: ['db.example.com'] }) }],
  [
    'a certificate for another RDS host of the Region',
    { certificate: await authority.issue({ names: ['other.c1x2.eu-west-1.rds.amazonaws.com'] }) },
    { endpoint },
  ],
  ['a certificate for the dialled name where an endpoint is given', { certificate }, { endpoint }],
  [
    'a certificate for the IP address where an endpoint is given',
    { certificate: await authority.issue({ names: ['127.0.0.1', 'localhost'] }) },
    { endpoint, host: '127.0.0.1' },
  ],
  [
    'an expired certificate',
    {
      certificate: await authority.issue({
        names: ['localhost'],
        notBefore: days(-0.9),
        notAfter: days(-0.1),
      }),
    },
  ],
  [
    'a certificate of tomorrow',
    { certificate: await authority.issue({ names: ['localhost'], notBefore: days(1), notAfter: days(2) }) },
  ],
  ['no TLS', {}],
  ['a plugin asked for before TLS', { certificate, afterGreeting: switchTo('mysql_clear_password', 2) }],
  [
    'a plugin asked for behind a greeting without TLS',
    { greeting: greetingWithoutTls, afterGreeting: switchTo('mysql_clear_password', 1) },
  ],
]

/** Whether the driver resumes TLS by itself, for whoever gives it the same options twice. */
async function resumesTls(): Promise<boolean> {
  const server = await startRecordingMysqlServer({ certificate })
  const options = {
    host: 'localhost',
    port: server.port,
    ssl: { ca: [authority.ca], verifyIdentity: true },
    authPlugins: { mysql_clear_password: () => () => Buffer.from('any\0') },
  }
  for (let count = 0; count < 2; count += 1) await (await createConnection(options)).end()
  return server.resumptions() > 0
}

for (const [kind, prepareFor] of Object.entries(kinds)) {
  const acquire = (options: IamMysqlOptions) => prepareFor(options)()

  for (const [title, opening, options] of accepted) {
    test(`${kind} gives its token to ${title}`, async () => {
      const server = await startRecordingMysqlServer(opening)
      await acquire({ ...address, port: server.port, ...options })
      const received = await server.received()
      assert.match(received, /Action=connect&.*X-Amz-Signature=[^\0]+\0/)
      assert.match(received, /DBUser=app/)
    })
  }

  for (const [title, opening, options] of untrusted) {
    test(`${kind} gives no byte of a token to ${title}`, async () => {
      const server = await startRecordingMysqlServer(await opening)
      const error = await acquire({ ...address, port: server.port, ...options }).catch(error => error)
      assert.ok(error instanceof RdsIamError, inspect(error))
      assert.equal(error.code, 'RDS_IAM_TRUST', error.message)
      assert.ok(server.connections() > 0, 'the server was never asked')
      assert.doesNotMatch(await server.received(), noToken)
    })
  }

  for (const plugin of [
    'caching_sha2_password',
    'mysql_native_password',
    'sha256_password',
    'client_ed25519',
    'dialog',
    '__proto__',
  ]) {
    test(`${kind} says that the user is no IAM user where the server asks for ${plugin}`, async () => {
      const server = await startRecordingMysqlServer({ certificate, answer: switchTo(plugin) })
      const error = await acquire({ ...address, port: server.port }).catch(error => error)
      assert.ok(error instanceof RdsIamError, inspect(error))
      assert.equal(error.code, 'RDS_IAM_NOT_GRANTED', error.message)
      assert.match(error.message, /CREATE USER 'app'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'/)
      assert.ok(error.message.includes(plugin))
      assert.doesNotMatch(await server.received(), noToken)
    })
  }

  for (const [title, opening] of [
    ['a truncated greeting', { greeting: mysqlGreeting().subarray(0, 20) }],
    ['a greeting that ends in its middle', { greeting: packet(0, mysqlGreeting().subarray(4, 18)) }],
    ['an empty greeting', { greeting: packet(0, Buffer.alloc(0)) }],
    [
      'a greeting of another protocol',
      { greeting: Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n') },
    ],
    [
      'a greeting in HTTP',
      { greeting: Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n') },
    ],
    ['an answer that is none', { certificate, answer: packet(3, Buffer.from([0x77, 1, 2])) }],
    ['more data where nothing was asked', { certificate, answer: packet(3, Buffer.from([1, 4])) }],
  ] as readonly (readonly [string, MysqlOpening])[]) {
    test(`${kind} fails in words of its own, and without a token, on ${title}`, async () => {
      const server = await startRecordingMysqlServer(opening)
      const error = await acquire({ ...address, connectTimeoutMs: 700, port: server.port }).catch(
        error => error,
      )
      assert.ok(error instanceof RdsIamError, inspect(error))
      assert.match(error.code, /RDS_IAM_(UNAVAILABLE|UNREACHABLE|TRUST)/, error.message)
      assert.doesNotMatch(await server.received(), noToken)
    })
  }

  test(`${kind} says that the user is no IAM user where the server refuses without asking for the token`, async () => {
    const refusal = "\xff\x15\x04#28000Access denied for user 'app'@'localhost' (using password: NO)"
    const server = await startRecordingMysqlServer({
      certificate,
      answer: packet(3, Buffer.from(refusal, 'latin1')),
    })
    await assert.rejects(acquire({ ...address, port: server.port }), { code: 'RDS_IAM_NOT_GRANTED' })
    assert.doesNotMatch(await server.received(), noToken)
  })

  test(`${kind} resumes TLS with the server that it verified, and verifies another one afresh`, async t => {
    if (!(await resumesTls())) return t.skip('this mysql2 does not resume TLS')
    const opening: MysqlOpening = { certificate }
    const server = await startRecordingMysqlServer(opening)
    const handle = prepareFor({ ...address, port: server.port })
    await handle()
    await handle()
    assert.equal(server.resumptions(), 1)
    const known = (await server.received()).length
    opening.certificate = await stranger.issue({ names: ['localhost'] })
    await assert.rejects(handle(), { code: 'RDS_IAM_TRUST' })
    assert.equal(server.connections(), 3)
    assert.doesNotMatch((await server.received()).slice(known), noToken)
    return undefined
  })

  for (const [title, variables] of Object.entries({
    'NODE_TLS_REJECT_UNAUTHORIZED=0': { NODE_TLS_REJECT_UNAUTHORIZED: '0' },
    MYSQL_PWD: { MYSQL_PWD: 'hunter2' },
  })) {
    test(`${kind} is not talked out of verification by ${title}`, async () => {
      const servers = await Promise.all(
        [{ certificate: await stranger.issue({ names: ['localhost'] }) }, {}, { certificate }].map(opening =>
          startRecordingMysqlServer(opening),
        ),
      )
      const codes = await runModule(
        `import middy from '@middy/core'
         import * as entry from './src/mysql2.ts'
         const codes = []
         for (const port of ${JSON.stringify(servers.map(({ port }) => port))}) {
           const options = { ...${JSON.stringify(address)}, port }
           const handler = middy().use(entry.${kind}(options)).handler((_event, { db }) => db.end())
           codes.push(await handler(undefined, { getRemainingTimeInMillis: () => 30_000 }).then(() => 'connected', error => error.code))
         }
         console.log(JSON.stringify(codes))`,
        variables as Readonly<Record<string, string>>,
      )
      assert.deepEqual(codes, ['RDS_IAM_TRUST', 'RDS_IAM_TRUST', 'connected'])
      const received = await Promise.all(servers.map(server => server.received()))
      for (const text of received) assert.doesNotMatch(text, /hunter2/)
      for (const text of received.slice(0, 2)) assert.doesNotMatch(text, noToken)
    })
  }
}
