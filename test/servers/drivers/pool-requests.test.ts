// What handlers do to a pool beside using it: both drivers are held to the same.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import middy, { type MiddlewareObj } from '@middy/core'
import { iamMysqlPool } from '../../../src/mysql2.ts'
import { iamPgPool, type RdsIamError, type RdsIamOptions } from '../../../src/pg.ts'
import { findMysqlKinds, type Gate, type Gated, useMysql, usePostgres } from '../../support/database.ts'
import { inLambda, lambdaContext, recordingLogger } from '../../support/lambda.ts'

/** A connection that was acquired. */
interface Taken {
  query(sql: string): Promise<unknown>
  release(error?: boolean): void
}

/** What a handler has. */
interface Pool {
  query(sql: string): Promise<unknown>
  take(): Promise<Taken>
  end(): Promise<unknown>
}

interface Kind {
  readonly name: string
  readonly gate: Gate
  create(options: RdsIamOptions): unknown
  take(pool: never): Promise<Taken>
  /** Ends a connection that is used. */
  destroy(taken: Taken): void
}

const kinds: Kind[] = [
  {
    name: 'iamPgPool',
    gate: (await usePostgres()).gate,
    create: iamPgPool,
    take: (pool: { connect(): Promise<Taken> }) => pool.connect(),
    destroy: taken => taken.release(true),
  },
]
const { kinds: servers, missing } = findMysqlKinds()
const server = servers.at(-1)
if (server !== undefined) {
  kinds.push({
    name: 'iamMysqlPool',
    gate: (await useMysql(server)).gate,
    create: iamMysqlPool,
    take: (pool: { getConnection(): Promise<Taken> }) => pool.getConnection(),
    destroy: taken => (taken as unknown as { destroy(): void }).destroy(),
  })
}
test('MySQL or MariaDB', { skip: server === undefined && missing }, () => {})

const unhandled: unknown[] = []
const note = (error: unknown): void => void unhandled.push(error)
before(() => process.on('unhandledRejection', note))
after(() => process.off('unhandledRejection', note))

for (const { name, gate, create, take, destroy } of kinds) {
  async function prepare(given: RdsIamOptions = {}) {
    const gated: Gated = await gate()
    const logger = recordingLogger()
    const options = { ...gated.options, prefetch: false, logger, ...given }
    const handler = inLambda(() =>
      middy<(pool: Pool) => unknown>()
        .use(create(options) as MiddlewareObj)
        .handler((run, context) => {
          const raw = (context as unknown as { db: never }).db as Pool
          return run({
            query: sql => raw.query(sql),
            take: () => take(raw as never),
            end: () => raw.end(),
          })
        }),
    )
    const reasons = () =>
      logger.lines.flatMap(({ fields }) => (fields.event === 'connection:closed' ? [fields.reason] : []))
    return {
      ...gated,
      reasons,
      handler: (run: (pool: Pool) => unknown) => handler(run, lambdaContext() as never),
    }
  }

  test(`${name} lets no query that nobody awaits end the process, whenever the handler returns`, async () => {
    const { handler } = await prepare()
    await handler(pool => pool.query('SELECT 1'))
    for (let hops = 0; hops < 30; hops += 1) {
      await handler(async pool => {
        void pool.query('SELECT 1')
        await new Promise(process.nextTick)
        for (let hop = 0; hop < hops; hop += 1) await undefined
      })
      for (let count = 0; count < 20; count += 1) await turn()
    }
    assert.deepEqual(unhandled, [])
  })

  // The handler returns while the pool makes room for them, or after.
  for (const turns of [1, 50]) {
    test(`${name} opens no connection for callers that no longer wait, and tells of none that was not released (after ${turns} turns)`, async () => {
      const { gateway, handler, reasons } = await prepare({ max: 1, connectTimeoutMs: 300 })
      await handler(async pool => {
        const taken = await pool.take()
        const inUse = (error: RdsIamError) =>
          error.code === 'RDS_IAM_THROTTLED' &&
          /all connections are in use|timeout exceeded/.test(error.message)
        await Promise.all([assert.rejects(pool.take(), inUse), assert.rejects(pool.take(), inUse)])
        destroy(taken)
        for (let count = 0; count < turns; count += 1) await turn()
        assert.ok(gateway.stats().connections <= 2)
      })
      await handler(pool => pool.query('SELECT 1'))
      assert.ok(!reasons().includes('not-released'), String(reasons()))
      assert.ok(gateway.stats().connections <= 2)
    })
  }

  test(`${name} ends in time what asks a pool that is ended in the same moment`, async () => {
    const { handler } = await prepare({ connectTimeoutMs: 500 })
    await handler(pool => pool.query('SELECT 1'))
    await handler(async pool => {
      const asked = pool.query('SELECT 1').then(
        () => 'answered',
        () => 'refused',
      )
      pool.end().catch(() => {})
      assert.match(await asked, /answered|refused/)
    })
    await handler(pool => pool.query('SELECT 1'))
  })

  test(`${name} says in its own error that all connections are in use of a pool that is ending`, async () => {
    const { handler } = await prepare({ max: 1, connectTimeoutMs: 300 })
    await handler(async pool => {
      const taken = await pool.take()
      const waiting = pool.take().catch((error: Error) => error)
      pool.end().catch(() => {})
      const error = (await waiting) as Error
      // mysql2 tells its callers at once.
      assert.ok(error.message === 'Pool is closed.' || (error as RdsIamError).code === 'RDS_IAM_THROTTLED')
      taken.release()
    })
  })
}

test('iamPgPool takes a client back once, whoever calls its release again', async () => {
  const { options } = await (kinds[0] as Kind).gate()
  const handler = inLambda(() =>
    middy<undefined>()
      .use(iamPgPool({ ...options, max: 1, prefetch: false }))
      .handler(async (_event, { db }) => {
        const { release } = await db.connect()
        release()
        const second = await db.connect()
        assert.throws(() => release(), /already been released/)
        const third = db.connect()
        const first = await Promise.race([third, turn().then(() => 'waits')])
        assert.equal(first, 'waits')
        second.release()
        ;(await third).release()
      }),
  )
  await handler(undefined, lambdaContext() as never)
})

test('iamPgPool tells a query that its connection was ended by the handler', async () => {
  const { options } = await (kinds[0] as Kind).gate()
  const handler = inLambda(() =>
    middy<undefined>()
      .use(iamPgPool({ ...options, prefetch: false }))
      .handler(async (_event, { db }) => {
        const client = await db.connect()
        const running = assert.rejects(client.query('SELECT pg_sleep(30)'), /terminated/)
        const released = new Promise(resolve => db.once('release', resolve))
        const reason = new Error('the handler has enough of it')
        client.release(reason)
        await running
        assert.equal(await released, reason)
      }),
  )
  await handler(undefined, lambdaContext() as never)
})
