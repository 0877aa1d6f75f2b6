// Servers that ask for tokens by themselves, as those of RDS do: its SQL as it is, TLS of their own, and nothing
// between them and the client.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Signer } from '@aws-sdk/rds-signer'
import middy, { type MiddlewareObj } from '@middy/core'
import { NotInstalled } from '../../../kit/src/database/not-installed.ts'
import { verifyToken } from '../../../kit/src/gateway/sigv4.ts'
import { makeAuthority } from '../../../kit/src/index.ts'
import type { RdsIamOptions } from '../../../src/pg.ts'
import { credentials, findMysqlKinds } from '../../support/database.ts'
import { inLambda, lambdaContext } from '../../support/lambda.ts'
import { holdTests } from '../../support/registration.ts'
import { mysqlOf, type OwnEngine, postgres } from './engines.ts'

const allRegistered = holdTests()

const region = 'eu-west-1'
/** A role's, whose tokens are longer than what some ways to hand on a password can take. */
const ofRole = { accessKeyId: 'rolekey', secretAccessKey: 'rolesecret', sessionToken: 'long'.repeat(400) }
const known = new Map([credentials, ofRole].map(pair => [pair.accessKeyId, pair]))

async function open(engine: OwnEngine) {
  let port = 0
  let asked = 0
  let aheadMs = 0
  const { server, ca, endVerifier } = await engine.start((user, token) => {
    asked += 1
    const endpoints = [{ host: 'localhost', port }]
    const expected = { user, region, endpoints, credentials: known, nowMs: Date.now() + aheadMs }
    return verifyToken(token, expected).reason === undefined
  })
  port = server.port
  await engine.createUsers(server)
  return {
    server,
    ca,
    endVerifier,
    asked: () => asked,
    /** Runs at a later time of the verifier's. */
    async later<T>(ms: number, run: () => Promise<T>): Promise<T> {
      aheadMs = ms
      return run().finally(() => {
        aheadMs = 0
      })
    },
  }
}

function testEngine(
  engine: OwnEngine,
  { server, ca, asked, later, endVerifier }: Awaited<ReturnType<typeof open>>,
) {
  const { port } = server
  const sign = (overrides: Partial<ConstructorParameters<typeof Signer>[0]> = {}) =>
    new Signer({
      hostname: 'localhost',
      port,
      username: 'jane',
      region,
      credentials,
      ...overrides,
    }).getAuthToken()
  const options = {
    host: 'localhost',
    port,
    user: 'jane',
    database: 'notes',
    region,
    tls: { ca },
    credentials,
  }

  /** One invocation, in an environment of its own. */
  async function invoke(create: OwnEngine['middlewares'][number], changes: Partial<RdsIamOptions> = {}) {
    const given = { ...options, prefetch: false, retryRefused: false, ...changes }
    await using middleware = inLambda(() => create(given)) as MiddlewareObj & AsyncDisposable
    const handler = middy()
      .use(middleware)
      .handler((_event, context) => engine.look(engine.wrap((context as never as { db: never }).db)))
    return await handler(undefined, lambdaContext() as never)
  }

  for (const user of ['jane', 'notes_app']) {
    test(`lets ${user} in, over the server's own TLS, with one token each`, async () => {
      const before = asked()
      for (const create of engine.middlewares)
        assert.deepEqual({ ...(await invoke(create, { user })) }, { name: user, hasTls: true })
      const pool = engine.createPool({ ...options, user })
      assert.deepEqual(await engine.look(pool), { name: user, hasTls: true })
      await pool.close()
      assert.equal(asked() - before, 3)
    })
  }

  test('takes the token of a role, with its long session token', async () => {
    await engine.logIn(port, { ca, token: await sign({ credentials: ofRole }) })
    for (const create of engine.middlewares) await invoke(create, { credentials: ofRole })
  })

  for (const [what, make] of Object.entries<() => string | Promise<string>>({
    'with another signature': async () =>
      (await sign()).replace(/(X-Amz-Signature=)(.)/, (_, name, digit) => name + (digit === '0' ? '1' : '0')),
    'with a longer life': async () => (await sign()).replace('X-Amz-Expires=900', 'X-Amz-Expires=899'),
    'of another user': () => sign({ username: 'notes_app' }),
    'of the same user in capitals': () => sign({ username: 'JANE' }),
    'for another host': () => sign({ hostname: '127.0.0.1' }),
    'for another port': () => sign({ port: port + 1 }),
    'for another Region': () => sign({ region: 'eu-west-2' }),
    'of another secret': () => sign({ credentials: { ...credentials, secretAccessKey: 'guessed' } }),
    'of an unknown key': () => sign({ credentials: { ...credentials, accessKeyId: 'unknown' } }),
    'of a role, without its session token': async () =>
      (await sign({ credentials: ofRole })).replace(/X-Amz-Security-Token=[^&]*&/, ''),
    'cut off': async () => (await sign()).slice(0, -1),
    'that is a password': () => 'secret',
  })) {
    test(`refuses, in the server's own words, a token ${what}`, async () => {
      const token = await make()
      await assert.rejects(engine.logIn(port, { ca, token }), engine.refusal)
    })
  }

  test('refuses a token of 16 minutes ago', async () => {
    const token = await sign()
    await engine.logIn(port, { ca, token })
    await assert.rejects(
      later(16 * 60_000, () => engine.logIn(port, { ca, token })),
      engine.refusal,
    )
  })

  test('is refused in words that every middleware explains', async () => {
    for (const create of engine.middlewares) {
      const unknown = { accessKeyId: 'unknown', secretAccessKey: 'unknown' }
      await assert.rejects(invoke(create, { credentials: unknown }), { code: 'RDS_IAM_ACCESS_DENIED' })
    }
  })

  test('lets nobody in without TLS, be the token good', async () => {
    await assert.rejects(engine.logIn(port, { token: await sign() }), engine.refusalWithoutTls)
  })

  test('is sent no token by who does not trust its certificate, or means another server', async () => {
    const stranger = await makeAuthority('stranger')
    const before = asked()
    for (const create of engine.middlewares) {
      for (const changes of [
        { tls: { ca: stranger.ca } },
        { endpoint: { host: 'notes.c1x2y3z4a5b6.eu-west-1.rds.amazonaws.com', port } },
      ])
        await assert.rejects(invoke(create, changes), { code: 'RDS_IAM_TRUST' })
    }
    assert.equal(asked(), before)
  })

  test('lets nobody in where nobody verifies tokens', async () => {
    endVerifier()
    await assert.rejects(engine.logIn(port, { ca, token: await sign() }), engine.refusal)
  })
}

const { kinds, missing } = findMysqlKinds()
test('MySQL and MariaDB', { skip: missing !== '' && missing }, () => {})
const engines = { PostgreSQL: postgres, ...Object.fromEntries(kinds.map(kind => [kind, mysqlOf(kind)])) }
for (const [name, engine] of Object.entries(engines)) {
  try {
    const opened = await open(engine)
    describe(opened.server.name, () => testEngine(engine, opened))
  } catch (error) {
    if (!(error instanceof NotInstalled)) throw error
    test(`${name} by itself`, { skip: error.message }, () => {})
  }
}

allRegistered()
