import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { Signer } from '@aws-sdk/rds-signer'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import pg from 'pg'
import { type IamPgPoolOptions, iamPgPool, type TokenSigner } from '../../../src/pg.ts'
import { usePostgres } from '../../support/database.ts'
import { inLambda, lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { startRelay } from '../../support/relay.ts'

const { gate } = await usePostgres()

/** A handler that does with its pool what the event says. */
function createHandler(options: IamPgPoolOptions) {
  const handler = middy<(pool: pg.Pool) => unknown>()
    .use(iamPgPool(options))
    .handler((run, context) => run(context.db))
  return (run: (pool: pg.Pool) => unknown, context: Context) => handler(run, context as never)
}

const selectPid = async (pool: pg.Pool): Promise<number> =>
  (await pool.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

test('gives a pg.Pool', async () => {
  const { options } = await gate()
  assert.ok(await createHandler(options)(pool => pool instanceof pg.Pool, lambdaContext()))
})

test('authenticates every new connection, and no more than `max` of them', async () => {
  const { gateway, options } = await gate()
  const handler = createHandler({ ...options, max: 3 })
  const pids = await handler(
    pool =>
      Promise.all(
        Array.from({ length: 12 }, () => pool.query('SELECT pg_backend_pid() AS pid, pg_sleep(0.02)')),
      ),
    lambdaContext(),
  )
  assert.equal(new Set((pids as pg.QueryResult[]).map(({ rows }) => rows[0].pid)).size, 3)
  const { connections, admitted } = gateway.stats()
  assert.deepEqual({ connections, admitted }, { connections: 3, admitted: 3 })
})

test('signs anew where a connection finds the token at its end', async () => {
  const { gateway, options } = await gate()
  let signed = 0
  const signer: TokenSigner = async ({ host, port, region, user }) => {
    signed += 1
    // Signed 70 of its 900 seconds ago: beyond a margin of 840.
    mock.timers.enable({ apis: ['Date'], now: Date.now() - 70_000 })
    try {
      const { credentials } = options
      return await new Signer({ hostname: host, port, region, username: user, credentials }).getAuthToken()
    } finally {
      mock.timers.reset()
    }
  }
  const handler = createHandler({ ...options, signer, tokenMarginMs: 840_000, max: 2 })
  await handler(async pool => {
    const one = await pool.connect()
    const two = await pool.connect()
    one.release()
    two.release()
  }, lambdaContext())
  assert.equal(gateway.stats().admitted, 2)
  assert.equal(signed, 2)
})

test('replaces a refused token that had been signed earlier, for a connection that the pool opens by itself too', async () => {
  let time = Date.now()
  const { decisions, options } = await gate({
    maxConnectionsPerSecond: 1,
    now: () => time,
    onDecision: ({ verdict }) => {
      if (verdict === 'refused') time += 1_000
    },
  })
  const handler = createHandler(options)
  await handler(async pool => {
    const one = await pool.connect()
    const two = await pool.connect()
    one.release()
    two.release()
  }, lambdaContext())
  assert.deepEqual(
    decisions.map(({ verdict }) => verdict),
    ['admitted', 'refused', 'admitted'],
  )
})

test('rolls back a transaction in which the handler released a client, and says so', async () => {
  const { gateway, options } = await gate()
  const logger = recordingLogger()
  const handler = createHandler({ ...options, logger, max: 1 })
  await handler(async pool => {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query(`INSERT INTO note VALUES ('left open')`)
    client.release()
    assert.deepEqual((await pool.query('SELECT count(*)::int FROM note')).rows, [{ count: 0 }])
  }, lambdaContext())
  assert.equal(gateway.stats().connections, 1)
  assert.deepEqual(logger.warnings(), ['The handler left a transaction open; it is rolled back'])
})

test('keeps the connection of a query that fails, and tells its error', async () => {
  const { gateway, options } = await gate()
  const handler = createHandler(options)
  for (let count = 0; count < 5; count += 1) {
    await handler(pool => assert.rejects(pool.query('SELECT 1/0'), { code: '22012' }), lambdaContext())
  }
  assert.equal(gateway.stats().connections, 1)
})

test('takes the connection back from a query that is none', async () => {
  const { gateway, options } = await gate()
  const handler = createHandler({ ...options, max: 1 })
  await handler(async pool => {
    await assert.rejects(pool.query(undefined as never), TypeError)
    await selectPid(pool)
  }, lambdaContext(3_000))
  assert.equal(gateway.stats().connections, 1)
})

test('leaves a query with a callback, and a query object, to pg-pool', async () => {
  const { options } = await gate()
  const handler = createHandler(options)
  const rows = await handler(
    pool =>
      new Promise((resolve, reject) => {
        pool.query('SELECT $1::int AS one', [1], (error, result) =>
          error ? reject(error) : resolve(result.rows),
        )
      }),
    lambdaContext(),
  )
  assert.deepEqual(rows, [{ one: 1 }])
})

test('refuses a second release of a client while its session is being put back', async () => {
  const { options } = await gate()
  const handler = createHandler(options)
  await handler(async pool => {
    const client = await pool.connect()
    await client.query('BEGIN')
    client.release()
    assert.throws(() => client.release(), /already been released/)
    await pool.query('SELECT 1')
  }, lambdaContext())
})

test('tries for itself where connecting ahead failed while the invocation waited for it', async () => {
  const { options } = await gate()
  let attempts = 0
  const handler = inLambda(() =>
    createHandler({
      ...options,
      credentials: async () => {
        attempts += 1
        if (attempts === 1) throw new Error('not yet')
        return options.credentials
      },
    }),
  )
  assert.ok(await handler(selectPid, lambdaContext()))
})

test('opens one pool in place of another that was frozen while it connected, however many invocations waited for it', async () => {
  const { gateway, options } = await gate()
  const relay = await startRelay(gateway.port)
  relay.stall()
  const endpoint = { host: 'localhost', port: gateway.port }
  const connectTimeoutMs = 1_000
  const thawsAtMs = Date.now() + connectTimeoutMs + 100
  const handler = inLambda(
    () => createHandler({ ...options, port: relay.port, endpoint, connectTimeoutMs }),
    {
      AWS_LAMBDA_MAX_CONCURRENCY: '4',
    },
  )
  await relay.whenConnected(1)
  relay.resume()
  while (Date.now() < thawsAtMs) {}
  const pools = await Promise.all([1, 2, 3].map(() => handler(pool => pool, lambdaContext())))
  assert.equal(new Set(pools).size, 1)
  await handler(selectPid, lambdaContext())
})
