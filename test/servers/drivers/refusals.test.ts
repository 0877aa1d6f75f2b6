// What a refusal means is decided by what happened before it: whether the server asked for the token, and got it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import middy, { type MiddlewareObj } from '@middy/core'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { makeAuthority } from '../../../kit/src/index.ts'
import { diagnoseMysql } from '../../../src/diagnose/diagnose-mysql2.ts'
import { diagnosePg } from '../../../src/diagnose/diagnose-pg.ts'
import { createTokenSource } from '../../../src/index.ts'
import { iamMysql, iamMysqlPool, mysqlOptions } from '../../../src/mysql2.ts'
import { iamPg, iamPgPool, pgOptions, RdsIamError, type RdsIamOptions } from '../../../src/pg.ts'
import { credentials, findMysqlKinds, useMysql, usePostgres } from '../../support/database.ts'
import { setEnvironment, withoutCredentials } from '../../support/environment.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { refusal, startRecordingMysqlServer, switchTo } from '../../support/recording-mysql-server.ts'
import { fatal, passwordRequest, startRecordingServer } from '../../support/recording-server.ts'

const authority = await makeAuthority('trusted')
const certificate = await authority.issue({ names: ['localhost'] })
const address = {
  host: 'localhost',
  user: 'app',
  region: 'eu-west-1',
  tls: { ca: authority.ca },
  credentials,
}

/** Refuses all but so many in a second, as long as its windows last. */
function limitTo(perSecond: number): () => boolean {
  let windowStartMs = 0
  let admitted = 0
  return () => {
    const nowMs = Date.now()
    if (nowMs - windowStartMs >= 1_000) [windowStartMs, admitted] = [nowMs, 0]
    admitted += 1
    return admitted > perSecond
  }
}

/** A server of one protocol, which refuses in words of its own before it asks for the token, or after it took it. */
interface Engine {
  readonly middlewares: readonly ((options: RdsIamOptions) => object)[]
  /** What it says in both cases. */
  readonly words: readonly string[]
  refuseBefore(words: string): Promise<{ readonly port: number; connections(): number }>
  refuseAfter(
    words: string,
    isRefused: () => boolean,
  ): Promise<{ readonly port: number; connections(): number }>
  diagnose(options: RdsIamOptions): ReturnType<typeof diagnosePg>
  /** Connects as a library does, with the options of the driver. */
  connectPlainly(options: RdsIamOptions): Promise<() => Promise<unknown>>
}

const engines: Readonly<Record<string, Engine>> = {
  pg: {
    middlewares: [iamPg, iamPgPool],
    words: ['password authentication failed for user "app"', 'PAM authentication failed for user "app"'],
    refuseBefore: words => startRecordingServer({ ...certificate, answer: fatal('28P01', words) }),
    refuseAfter: (words, isRefused) =>
      startRecordingServer({
        ...certificate,
        answer: passwordRequest,
        refuse: () => (isRefused() ? fatal('28P01', words) : undefined),
      }),
    diagnose: diagnosePg,
    async connectPlainly(options) {
      const given = await pgOptions(options)
      return async () => {
        const client = new pg.Client(given)
        client.on('error', () => {})
        await client.connect()
        await client.end()
      }
    },
  },
  mysql2: {
    middlewares: [iamMysql, iamMysqlPool] as unknown as Engine['middlewares'],
    words: [
      "Access denied for user 'app'@'localhost' (using password: NO)",
      "Access denied for user 'app'@'localhost' (using password: YES)",
    ],
    refuseBefore: words => startRecordingMysqlServer({ certificate, answer: refusal(words) }),
    refuseAfter: (words, isRefused) =>
      startRecordingMysqlServer({
        certificate,
        answer: switchTo('mysql_clear_password'),
        refuse: () => (isRefused() ? words : undefined),
      }),
    diagnose: options => diagnoseMysql(options as never),
    async connectPlainly(options) {
      const given = await mysqlOptions(options)
      return async () => (await mysql.createConnection(given)).end()
    },
  },
}

/** A handler that needs no more than its connection. */
function prepare(create: (options: RdsIamOptions) => object, options: RdsIamOptions) {
  const middleware = create({ ...options, prefetch: false }) as MiddlewareObj & { close(): Promise<void> }
  after(() => middleware.close())
  const handler = middy()
    .use(middleware)
    .handler(() => 'connected')
  return (context = lambdaContext()) => handler(undefined, context as never)
}

for (const [name, engine] of Object.entries(engines)) {
  for (const create of engine.middlewares) {
    for (const words of engine.words) {
      test(`${create.name} takes "${words}" for a user that is none for IAM where the token was not asked for`, async () => {
        const server = await engine.refuseBefore(words)
        const acquire = prepare(create, { ...address, port: server.port })
        await assert.rejects(acquire(), { code: 'RDS_IAM_NOT_GRANTED' })
        assert.equal(server.connections(), 1)
      })

      test(`${create.name} takes "${words}" for a refused token where the token was sent, and tries again`, async () => {
        let refusals = 0
        const server = await engine.refuseAfter(words, () => {
          refusals += 1
          return refusals <= 2
        })
        const logger = recordingLogger()
        await prepare(create, { ...address, port: server.port, logger })()
        assert.equal(server.connections(), 3)
        const retries = logger.lines.filter(({ fields }) => fields.event === 'connection:retried')
        assert.deepEqual(
          retries.map(({ fields }) => fields.code),
          ['RDS_IAM_ACCESS_DENIED', 'RDS_IAM_ACCESS_DENIED'],
        )
      })
    }

    test(`${create.name} gets 20 environments in at 5 logins a second where the server says "${engine.words[0]}" to the others`, async () => {
      const server = await engine.refuseAfter(engine.words[0] as string, limitTo(5))
      const acquired = Array.from({ length: 20 }, () =>
        prepare(create, { ...address, port: server.port })(lambdaContext(12_000)),
      )
      assert.deepEqual(await Promise.all(acquired), Array(20).fill('connected'))
      // Nobody hammers.
      assert.ok(server.connections() <= 20 * 12, `${server.connections()} attempts`)
    })
  }

  test(`options of ${name} for a library sign anew after a token that was refused in any of these words`, async () => {
    for (const words of engine.words) {
      let isRefusing = true
      const server = await engine.refuseAfter(words, () => isRefusing)
      let signed = 0
      const sign = createTokenSource({
        host: address.host,
        port: server.port,
        user: address.user,
        region: address.region,
        credentials,
      })
      const signer = () => {
        signed += 1
        return sign()
      }
      const connect = await engine.connectPlainly({ ...address, port: server.port, signer })
      await assert.rejects(connect())
      assert.equal(signed, 1)
      isRefusing = false
      await connect()
      await connect()
      assert.equal(signed, 2, words)
    }
  })

  test(`the diagnosis of ${name} says of the same words whether the token was refused`, async () => {
    for (const words of engine.words) {
      const before = await engine.refuseBefore(words)
      const after = await engine.refuseAfter(words, () => true)
      const codes = await Promise.all(
        [before, after].map(async ({ port }) => {
          const { steps } = await engine.diagnose({ ...address, port })
          return steps.find(({ name }) => name === 'authentication')?.code
        }),
      )
      assert.deepEqual(codes, ['RDS_IAM_NOT_GRANTED', 'RDS_IAM_ACCESS_DENIED'], words)
    }
  })
}

test('says which words the failure was in, whatever it was taken for', async () => {
  const engine = engines.mysql2 as Engine
  const words = engine.words[0] as string
  const { port } = await engine.refuseAfter(words, () => true)
  const acquire = prepare(engine.middlewares[0] as never, { ...address, port, retryRefused: false })
  await assert.rejects(acquire(), (error: unknown) => {
    assert.ok(error instanceof RdsIamError)
    assert.ok(error.message.includes(words))
    return true
  })
})

for (const create of (engines.pg as Engine).middlewares) {
  test(`${create.name} waits until a cluster has resumed from 0 ACU`, async () => {
    let answers = 0
    const server = await startRecordingServer({
      ...certificate,
      get answer() {
        answers += 1
        const words = 'no pg_hba.conf entry for host "10.0.0.1", user "app", database "app", SSL encryption'
        return answers > 4 ? passwordRequest : fatal('28000', words)
      },
    })
    const logger = recordingLogger()
    await prepare(create, { ...address, port: server.port, logger, retryRefused: false })()
    assert.equal(server.connections(), 5)
    const codes = logger.lines
      .filter(({ fields }) => fields.event === 'connection:retried')
      .map(({ fields }) => fields.code)
    assert.deepEqual([...new Set(codes)], ['RDS_IAM_UNAVAILABLE'])
  })

  test(`${create.name} names the option that RDS Proxy does not take, at once`, async () => {
    const words = 'Feature not supported: RDS Proxy currently doesn’t support the option statement_timeout.'
    const server = await startRecordingServer({ ...certificate, answer: fatal('0A000', words) })
    const acquire = prepare(create, {
      ...address,
      port: server.port,
      client: { statement_timeout: 5_000 },
    } as never)
    await assert.rejects(acquire(), {
      code: 'RDS_IAM_OPTIONS',
      message:
        /take `client\.statement_timeout`\. Take it out.*`ALTER ROLE "app" SET statement_timeout = …;`/,
    })
    assert.equal(server.connections(), 1)
  })

  test(`${create.name} tries again where RDS Proxy has too many tokens to look at`, async () => {
    let isBusy = true
    const words = 'The IAM authentication failed because of too many competing requests.'
    const server = await startRecordingServer({
      ...certificate,
      refuse: () => (isBusy ? fatal('28P01', words) : undefined),
    })
    const logger = recordingLogger()
    const debug = (message: string, fields: Record<string, unknown>) => {
      logger.debug(message, fields)
      if (fields.event === 'connection:retried') isBusy = false
    }
    await prepare(create, { ...address, port: server.port, logger: { ...logger, debug } })()
    assert.equal(server.connections(), 2)
    assert.equal(
      logger.lines.find(({ fields }) => fields.event === 'connection:retried')?.fields.code,
      'RDS_IAM_THROTTLED',
    )
  })
}

const { kinds, missing } = findMysqlKinds()
const [kind] = kinds.slice(-1)
const gates = {
  pg: (await usePostgres()).gate,
  mysql2: kind === undefined ? undefined : (await useMysql(kind)).gate,
}

for (const [name, gate] of Object.entries(gates)) {
  for (const create of (engines[name] as Engine).middlewares) {
    test(`${create.name} connects with the keys that the shared credentials file got after a refusal`, {
      skip: gate === undefined && missing,
    }, async t => {
      const folder = mkdtempSync(join(tmpdir(), 'middy-rds-iam-keys-'))
      t.after(() => rmSync(folder, { recursive: true, force: true }))
      const file = join(folder, 'credentials')
      const write = ({ accessKeyId, secretAccessKey }: typeof credentials) =>
        writeFileSync(
          file,
          `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
        )
      write({ accessKeyId: 'ended', secretAccessKey: 'ended' })
      setEnvironment(t, { ...withoutCredentials, AWS_SHARED_CREDENTIALS_FILE: file })
      const { options, decisions } = await (gate as NonNullable<typeof gate>)()
      const logger = recordingLogger()
      const warn = (message: string, fields: Record<string, unknown>) => {
        logger.warn(message, fields)
        if (fields.event === 'connection:retried') write(credentials)
      }
      const { credentials: _, ...others } = options
      await prepare(create, { ...others, logger: { ...logger, warn } })()
      assert.deepEqual(
        decisions.map(({ verdict }) => verdict),
        ['refused', 'admitted'],
      )
    })
  }
}
