import assert from 'node:assert/strict'
import buffer from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Signer } from '@aws-sdk/rds-signer'
import middy from '@middy/core'
import type mysql from 'mysql2/promise'
import type pg from 'pg'
import { makeAuthority } from '../../kit/src/index.ts'
import { type IamMysqlOptions, iamMysql, iamMysqlPool } from '../../src/mysql2.ts'
import { type IamPgOptions, iamPg, iamPgPool, RdsIamError, type SignerRequest } from '../../src/pg.ts'
import { findMysqlKinds, type Gate, useMysql, usePostgres } from '../support/database.ts'
import { inLambda, lambdaContext } from '../support/lambda.ts'
import { startRecordingMysqlServer } from '../support/recording-mysql-server.ts'
import { recordObservers } from '../support/recording-observers.ts'
import { startRecordingServer } from '../support/recording-server.ts'
import { untilTriedAgain } from '../support/time.ts'

// In full, or a token in a buffer would go unseen.
buffer.INSPECT_MAX_BYTES = Number.POSITIVE_INFINITY

const { gate: gatePostgres } = await usePostgres()
const { kinds, missing } = findMysqlKinds()
const gateMysql = kinds[0] === undefined ? undefined : (await useMysql(kinds[0])).gate
test('has a server for MySQL', { skip: gateMysql === undefined && missing }, () => {})

const credentials = {
  accessKeyId: 'ASIAREDACTION',
  secretAccessKey: `key${randomBytes(15).toString('hex')}`,
  sessionToken: `session${randomBytes(60).toString('hex')}`,
}

/** Signs as the package would, and keeps what is secret of every token. */
function createSpy() {
  const signatures: string[] = []
  const signer = async ({ host: hostname, port, region, user: username }: SignerRequest) => {
    const token = await new Signer({ hostname, port, region, username, credentials }).getAuthToken()
    signatures.push(/X-Amz-Signature=(\w+)/.exec(token)?.[1] ?? assert.fail('no signature'))
    return token
  }
  return { signer, signatures }
}

/** Everything there is to see of a value, for whoever prints, serialises or logs it. */
function* seeAll(value: unknown): Generator<string> {
  const everything = {
    depth: Number.POSITIVE_INFINITY,
    maxArrayLength: Number.POSITIVE_INFINITY,
    maxStringLength: Number.POSITIVE_INFINITY,
    breakLength: Number.POSITIVE_INFINITY,
  }
  yield inspect(value)
  yield inspect(value, everything)
  yield inspect(value, { ...everything, showHidden: true })
  yield String(value)
  const seen = new WeakSet<object>()
  yield JSON.stringify(value, (_name, part: unknown) => {
    if (typeof part === 'bigint') return String(part)
    if (typeof part !== 'object' || part === null) return part
    if (seen.has(part)) return undefined
    seen.add(part)
    return part
  }) ?? ''
  for (let error = value; error instanceof Error; error = error.cause) {
    yield `${error.message}\n${error.stack}\n${inspect(Object.entries(error), everything)}`
  }
}

function findSecret(value: unknown, signatures: readonly string[]): string | undefined {
  const secrets = [...signatures, credentials.secretAccessKey, credentials.sessionToken].flatMap(text => [
    text,
    Buffer.from(text).toString('hex'),
    Buffer.from(text)
      .toString('hex')
      .replace(/..(?!$)/g, '$& '),
    Buffer.from(text).toString('base64').replace(/=+$/, ''),
  ])
  for (const seen of seeAll(value)) {
    const secret = secrets.find(secret => seen.includes(secret))
    if (secret !== undefined) return secret
    // Any token, also one that no spy signed.
    const token = /Action=connect&|X-Amz-Signature=|X-Amz-Security-Token=/.exec(seen)
    if (token !== null) return seen.slice(token.index, token.index + 80)
  }
  return undefined
}

function assertRedacted(value: unknown, signatures: readonly string[], what: string): void {
  assert.equal(findSecret(value, signatures), undefined, `a secret can be seen in ${what}`)
}

type Observers = ReturnType<typeof recordObservers>

const told = ({ logger, metrics }: Observers) => ({ logger, metrics })

/** Whoever listens in the log, on the channels or in the metrics has seen no secret. */
function assertToldNoSecret(observers: Observers, signatures: readonly string[]): void {
  const { logger, metrics, messages } = observers
  assert.equal(messages.length, logger.lines.length)
  assertRedacted(logger.lines, signatures, 'the log')
  assertRedacted(metrics.added, signatures, 'the metrics')
  for (const { channel, message } of messages) assertRedacted(message, signatures, channel)
  observers.stop()
}

for (const [title, hide] of [
  [
    'a property that is not enumerable',
    (text: string) => Object.defineProperty({}, 'password', { value: text }),
  ],
  ['a buffer, deep down', (text: string) => ({ a: { b: { c: { d: [Buffer.from(`…${text}…`)] } } } })],
  ['the cause of a cause', (text: string) => new Error('a', { cause: new Error('b', { cause: text }) })],
  ['an error’s property', (text: string) => Object.assign(new Error('a'), { input: text })],
  ['a symbol', (text: string) => ({ [Symbol('secret')]: new Map([['token', new Set([text])]]) })],
  ['what toJSON gives', (text: string) => ({ toJSON: () => text })],
] as const) {
  test(`would see a secret in ${title}`, () => {
    assert.ok(findSecret(hide('c0ffee'), ['c0ffee']))
    assert.ok(findSecret(hide(credentials.secretAccessKey), []))
    assert.ok(findSecret(hide(credentials.sessionToken), []))
    assert.equal(findSecret(hide('nothing'), ['c0ffee']), undefined)
  })
}

/** Runs a handler with a client or a pool, and tells how it ended and what was logged. */
type Run = (
  options: IamPgOptions,
  use?: (seen: Readonly<Record<string, unknown>>, query: (sql: string) => Promise<unknown>) => unknown,
) => Promise<{ error: unknown; middleware: object }>

async function catchError(run: () => unknown): Promise<unknown> {
  try {
    await run()
    return undefined
  } catch (error) {
    return error
  }
}

const runs: Readonly<Record<string, Run>> = {
  async iamPg(options, use = () => {}) {
    const middleware = iamPg(options)
    const handler = middy()
      .use(middleware)
      .handler((_event, context) => {
        const client: pg.Client = context.db
        const { connection } = client
        const seen = { client, connection, stream: connection.stream, context, middleware }
        return use(seen, sql => client.query(sql))
      })
    const error = await catchError(() => handler(undefined, lambdaContext() as never))
    return { error, middleware }
  },
  async iamPgPool(options, use = () => {}) {
    const middleware = iamPgPool(options)
    const handler = middy()
      .use(middleware)
      .handler(async (_event, context) => {
        const pool: pg.Pool = context.db
        const client = await pool.connect()
        const seen = {
          pool,
          poolOptions: pool.options,
          client,
          connection: client.connection,
          context,
          middleware,
        }
        try {
          return await use(seen, sql => client.query(sql))
        } finally {
          client.release()
          await pool.end()
        }
      })
    const error = await catchError(() => handler(undefined, lambdaContext() as never))
    return { error, middleware }
  },
  async iamMysql(options, use = () => {}) {
    const middleware = iamMysql(options as IamMysqlOptions)
    const handler = middy()
      .use(middleware)
      .handler((_event, context) => {
        const connection: mysql.Connection = context.db
        const { connection: core } = connection as mysql.PoolConnection
        const { stream } = core as unknown as { stream: object }
        const seen = { connection, core, config: connection.config, stream, context, middleware }
        return use(seen, sql => connection.query(sql))
      })
    const error = await catchError(() => handler(undefined, lambdaContext() as never))
    return { error, middleware }
  },
  async iamMysqlPool(options, use = () => {}) {
    const middleware = iamMysqlPool(options as IamMysqlOptions)
    const handler = middy()
      .use(middleware)
      .handler(async (_event, context) => {
        const pool: mysql.Pool = context.db
        const connection = await pool.getConnection()
        const core = connection.connection
        const seen = { pool, config: pool.pool.config, connection, core, context, middleware }
        try {
          return await use(seen, sql => connection.query(sql))
        } finally {
          connection.release()
          await pool.end()
        }
      })
    const error = await catchError(() => handler(undefined, lambdaContext() as never))
    return { error, middleware }
  },
}

for (const [kind, run] of Object.entries(runs)) {
  const isMysql = kind.startsWith('iamMysql')
  const serverGate = isMysql ? gateMysql : gatePostgres
  if (serverGate === undefined) continue
  const gate: Gate = serverGate
  const startWithoutTls = async () =>
    isMysql ? startRecordingMysqlServer({}) : startRecordingServer({ plaintext: Buffer.from('N') })

  test(`${kind} shows no secret once it is connected with a token of a custom signer`, async () => {
    const { gateway, options } = await gate({ credentials: [credentials] })
    const { signer, signatures } = createSpy()
    const observers = recordObservers(options.port)
    const { error } = await run(
      { ...options, credentials: undefined, signer, ...told(observers) },
      async (seen, query) => {
        for (const [what, value] of Object.entries(seen)) assertRedacted(value, signatures, what)
        await query('SELECT 1')
        for (const [what, value] of Object.entries(seen)) assertRedacted(value, signatures, what)
      },
    )
    assert.equal(error, undefined)
    assert.equal(signatures.length, 1)
    assert.equal(gateway.stats().admitted, 1)
    assertToldNoSecret(observers, signatures)
  })

  test(`${kind} shows no secret once it is connected with credentials of its own`, async () => {
    const { gateway, options } = await gate({ credentials: [credentials] })
    const observers = recordObservers(options.port)
    const { error } = await run({ ...options, credentials, ...told(observers) }, async (seen, query) => {
      await query('SELECT 1')
      for (const [what, value] of Object.entries(seen)) assertRedacted(value, [], what)
    })
    assert.equal(error, undefined)
    assert.equal(gateway.stats().admitted, 1)
    assertToldNoSecret(observers, [])
  })

  test(`${kind} shows no secret in the error of a handler’s query`, async () => {
    const { options } = await gate({ credentials: [credentials] })
    const { signer, signatures } = createSpy()
    const observers = recordObservers(options.port)
    const { error } = await run({ ...options, signer, ...told(observers) }, (_seen, query) =>
      query('SELECT nonsense'),
    )
    assert.equal((error as { code?: string }).code, isMysql ? 'ER_BAD_FIELD_ERROR' : '42703')
    assertRedacted(error, signatures, 'the error')
    assertToldNoSecret(observers, signatures)
  })

  for (const [title, code, arrange] of [
    ['refused', 'RDS_IAM_ACCESS_DENIED', async () => (await gate({ credentials: [] })).options],
    [
      'throttled',
      'RDS_IAM_ACCESS_DENIED',
      async () => {
        const nowMs = Date.now()
        const { gateway, options } = await gate({
          credentials: [credentials],
          maxConnectionsPerSecond: 1,
          now: () => nowMs,
        })
        await run({ ...options, credentials })
        assert.equal(gateway.stats().admitted, 1)
        return options
      },
    ],
    [
      'let in to a database that does not exist',
      'RDS_IAM_DATABASE',
      async () => ({ ...(await gate({ credentials: [credentials] })).options, database: 'nothing' }),
    ],
    [
      'asked for by a server that is not verified',
      'RDS_IAM_TRUST',
      async () => {
        const { options } = await gate({ credentials: [credentials] })
        return { ...options, tls: { ca: (await makeAuthority('stranger')).ca } }
      },
    ],
    [
      'asked for without TLS',
      'RDS_IAM_TRUST',
      async () => {
        const { port } = await startWithoutTls()
        return { ...(await gate()).options, port }
      },
    ],
    [
      'not asked for, because nothing listens',
      'RDS_IAM_UNREACHABLE',
      async () => {
        const { gateway, options } = await gate()
        await gateway.close()
        return options
      },
    ],
  ] as const) {
    test(`${kind} shows no secret in an error or a log when its token is ${title}`, async () => {
      const options = await arrange()
      const { signer, signatures } = createSpy()
      const observers = recordObservers(options.port)
      for (const source of [{ credentials: undefined, signer }, { credentials }]) {
        const { error, middleware } = await untilTriedAgain(() =>
          run({ ...options, ...source, ...told(observers) }),
        )
        assert.ok(error instanceof RdsIamError, inspect(error))
        assert.equal(error.code, code)
        assertRedacted(error, signatures, 'the error')
        assertRedacted(middleware, signatures, 'the middleware')
      }
      assertToldNoSecret(observers, signatures)
    })
  }

  test(`${kind} shows no secret in what it logs when connecting ahead fails`, async () => {
    const { gateway, options } = await gate({ credentials: [] })
    const { signer, signatures } = createSpy()
    const observers = recordObservers(options.port)
    const { error } = await untilTriedAgain(() =>
      inLambda(() => run({ ...options, credentials: undefined, signer, ...told(observers) })),
    )
    assertRedacted(error, signatures, 'the error')
    assert.ok(gateway.stats().refused > 0)
    assert.ok(observers.logger.lines.some(({ message }) => message === 'Connecting to the database failed'))
    assertToldNoSecret(observers, signatures)
  })

  for (const [title, source] of [
    ['are expired', { credentials: { ...credentials, expiration: new Date(0) } }],
    [
      'cannot be had',
      {
        credentials: async () => {
          throw new Error('the service is down')
        },
      },
    ],
    ['give way to a signer that returns them', { signer: async () => credentials.secretAccessKey }],
    ['are not for this Region', { credentials, region: 'Ireland' }],
    ['stand in options that are wrong', { credentials, credential: credentials, max: 0 }],
    [
      'stand where they do not belong',
      { user: credentials, host: credentials, client: { password: credentials } },
    ],
  ] as const) {
    test(`${kind} shows no secret when its credentials ${title}`, async () => {
      const { options } = await gate()
      const observers = recordObservers(options.port)
      const attempt = run({ ...options, ...(source as object), ...told(observers) })
      const error = await attempt.then(
        ({ error }) => error,
        thrown => thrown,
      )
      assert.ok(error instanceof RdsIamError, inspect(error))
      assertRedacted(error, [], 'the error')
      assertToldNoSecret(observers, [])
    })
  }
}
