// After a failover, a name leads to the old writer for a while, which is a reader by then.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import middy, { type MiddlewareObj } from '@middy/core'
import type { Context } from 'aws-lambda'
import type { Gateway } from '../../../kit/src/index.ts'
import { createMysqlPool, iamMysql, iamMysqlPool } from '../../../src/mysql2.ts'
import { createPgPool, iamPg, iamPgPool, type RdsIamOptions } from '../../../src/pg.ts'
import { credentials, findMysqlKinds, useMysql } from '../../support/database.ts'
import { type Db, mysqlDb, pgDb } from '../../support/db.ts'
import { startGateway } from '../../support/gateway.ts'
import { inLambda, lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { type Relay, startRelay } from '../../support/relay.ts'
import { startPostgres } from '../../support/servers.ts'

const region = 'eu-west-1'
const names = {
  writer: 'orders.cluster-c1x2.eu-west-1.rds.amazonaws.com',
  reader: 'orders.cluster-ro-c1x2.eu-west-1.rds.amazonaws.com',
  instance: 'orders.c1x2.eu-west-1.rds.amazonaws.com',
} as const

/** A server that takes writes, another one that does not, and what connects to them. */
interface Pair {
  readonly name: string
  readonly writer: Gateway
  readonly reader: Gateway
  readonly login: { readonly user: string; readonly database: string }
  readonly write: string
  /** What a write on the reader fails with. */
  readonly refusal: RegExp
  readonly middlewares: readonly Factory[]
  readonly createPool: Factory
  wrap(raw: never): Db
}

interface Factory {
  readonly name: string
  create(options: RdsIamOptions): object
}

const factory = (create: (options: never) => object): Factory => ({
  name: create.name,
  create: options => create(options as never),
})

async function gate(engine: 'postgres' | 'mysql', server: { readonly port: number }): Promise<Gateway> {
  const endpoints = Object.values(names).map(host => ({ host, port: 5432 }))
  const gateway = await startGateway({ engine, upstream: { port: server.port }, region, endpoints })
  after(() => gateway.close())
  return gateway
}

const [primary, standby] = await Promise.all([startPostgres(), startPostgres({ isStandby: true })])
after(() => Promise.all([primary.stop(), standby.stop()]))
// It is started once it recovers, and lets somebody in a moment later.
while (!(await standby.query('SELECT 1').catch(() => undefined)));

const pairs: Pair[] = [
  {
    name: 'PostgreSQL and its standby',
    writer: await gate('postgres', primary),
    reader: await gate('postgres', standby),
    login: { user: 'postgres', database: 'postgres' },
    write: 'CREATE TABLE IF NOT EXISTS note (text text)',
    refusal: /read-only transaction/,
    middlewares: [factory(iamPg), factory(iamPgPool)],
    createPool: factory(createPgPool),
    wrap: pgDb as (raw: never) => Db,
  },
]
const { kinds, missing } = findMysqlKinds()
for (const kind of kinds) {
  const { mysql } = await useMysql(kind)
  const { mysql: replica } = await useMysql(kind)
  await replica.query('SET GLOBAL read_only = 1')
  pairs.push({
    name: `${kind === 'mysql' ? `MySQL ${mysql.version}` : 'MariaDB'} and its replica`,
    writer: await gate('mysql', mysql),
    reader: await gate('mysql', replica),
    login: { user: 'notes_app', database: 'notes' },
    write: "INSERT INTO note VALUES ('mine')",
    refusal: /read-only/,
    middlewares: [factory(iamMysql), factory(iamMysqlPool)],
    createPool: factory(createMysqlPool),
    wrap: mysqlDb as (raw: never) => Db,
  })
}

/** A name that leads to the reader for now, and who listens to what happens. */
async function scene({ reader, login }: Pair, host: string, options: Partial<RdsIamOptions> = {}) {
  const relay = await startRelay(reader.port)
  const logger = recordingLogger()
  const acts: (() => unknown)[] = []
  const all: RdsIamOptions = {
    host: 'localhost',
    port: relay.port,
    endpoint: { host, port: 5432 },
    region,
    ...login,
    tls: { ca: reader.ca },
    credentials,
    logger: {
      ...logger,
      debug(message, fields) {
        logger.debug(message, fields)
        if (fields.event === 'connection:retried') acts.shift()?.()
      },
    },
    ...options,
  }
  const events = (name: string) => logger.lines.filter(({ fields }) => fields.event === name)
  return {
    relay,
    options: all,
    events,
    reasons: () => events('connection:closed').map(({ fields }) => fields.reason),
    warnings: logger.warnings,
    /** Does something at the next attempt that is to be followed by another one. */
    onRetry: (...given: (() => unknown)[]) => void acts.push(...given),
  }
}

/** Runs in a handler what it is told. */
function handlerOf({ wrap }: Pair, middleware: object) {
  const handler = middy<(db: Db) => unknown>()
    .use(middleware as MiddlewareObj)
    .handler((run, context) => run(wrap((context as unknown as { db: never }).db)))
  return (run: (db: Db) => unknown, context: Context = lambdaContext()) =>
    handler(run, context as never) as Promise<unknown>
}

const moveTo =
  (relay: Relay, { port }: Gateway) =>
  () =>
    relay.aim(port)

/** Waits until every connection to a gateway is closed, but for some. */
async function whenOpen(gateway: Gateway, count: number): Promise<void> {
  while (gateway.stats().open > count) await new Promise(resolve => setImmediate(resolve))
  assert.equal(gateway.stats().open, count)
}

for (const pair of pairs) {
  const { name, writer, reader, write, refusal, middlewares, createPool } = pair
  for (const { name: factoryName, create } of middlewares) {
    const title = (text: string) => `${factoryName} on ${name} ${text}`

    test(title('connects again until the name leads to the writer'), async () => {
      const { relay, options, events, reasons, warnings, onRetry } = await scene(pair, names.writer)
      const handler = handlerOf(pair, create({ ...options, max: 1 }))
      onRetry(() => {}, moveTo(relay, writer))
      await handler(db => db.query(write))
      assert.deepEqual(reasons(), ['read-only', 'read-only'])
      const codes = events('connection:retried').map(({ fields }) => fields.code)
      assert.deepEqual(codes, ['RDS_IAM_UNAVAILABLE', 'RDS_IAM_UNAVAILABLE'])
      assert.deepEqual(warnings(), [])
      await whenOpen(reader, 0)
      await handler(db => db.query(write))
      assert.equal(relay.connections(), 3)
    })

    test(title('has a reader at last, with one warning, and keeps it until a write fails'), async () => {
      const options = { connectTimeoutMs: 600 }
      const { relay, options: all, events, warnings } = await scene(pair, names.writer, options)
      const handler = handlerOf(pair, create(all))
      await handler(db => db.query('SELECT 1'))
      const connections = relay.connections()
      assert.ok(connections > 1)
      await handler(db => db.query('SELECT 1'))
      assert.equal(relay.connections(), connections)
      assert.equal(events('connection:read-only').length, 1)
      assert.match(String(warnings()), /^The database takes no writes/)
      assert.equal(events('connection:failed').length, 0)
      await whenOpen(reader, 1)
      await assert.rejects(
        handler(db => db.query(write)),
        refusal,
      )
      relay.aim(writer.port)
      await handler(db => db.query(write))
    })

    test(title('has the reader where nothing else answers any more'), async () => {
      const { relay, options, events, onRetry } = await scene(pair, names.writer, { connectTimeoutMs: 800 })
      onRetry(() => relay.refuse())
      const handler = handlerOf(pair, create(options))
      await handler(db => db.query('SELECT 1'))
      assert.equal(events('connection:read-only').length, 1)
      assert.equal(events('connection:failed').length, 0)
    })

    for (const endpoint of ['reader', 'instance'] as const) {
      test(title(`takes what there is at an endpoint of the kind ${endpoint}`), async () => {
        const { relay, options, warnings, reasons } = await scene(pair, names[endpoint])
        await handlerOf(pair, create(options))(db => db.query('SELECT 1'))
        assert.equal(relay.connections(), 1)
        assert.deepEqual([warnings(), reasons()], [[], []])
      })
    }

    test(title('wants what it is told, whatever the name'), async () => {
      const any = await scene(pair, names.writer, { targetSessionAttrs: 'any' })
      await handlerOf(pair, create(any.options))(db => db.query('SELECT 1'))
      assert.equal(any.relay.connections(), 1)
      const instance = await scene(pair, names.instance, { targetSessionAttrs: 'read-write' })
      instance.onRetry(moveTo(instance.relay, writer))
      await handlerOf(pair, create(instance.options))(db => db.query(write))
    })

    test(title('leaves the look for a writer to the invocation, which has its own time'), async () => {
      const { relay, options, events, reasons, onRetry } = await scene(pair, names.writer)
      const middleware = inLambda(() => create(options))
      while (reasons().length === 0) await new Promise(resolve => setImmediate(resolve))
      await whenOpen(reader, 0)
      assert.deepEqual([relay.connections(), events('connection:retried').length], [1, 0])
      onRetry(moveTo(relay, writer))
      await handlerOf(pair, middleware)(db => db.query(write))
      assert.equal(relay.connections(), 3)
    })
  }

  test(`${createPool.name} on ${name} finds the writer for many callers, within \`max\``, async () => {
    const { relay, options, warnings, onRetry } = await scene(pair, names.writer)
    const pool = createPool.create({ ...options, max: 3 }) as object & { close(): Promise<void> }
    const db = pair.wrap(pool as never)
    onRetry(() => {}, moveTo(relay, writer))
    await Promise.all(Array.from({ length: 8 }, () => db.query(write)))
    assert.ok(writer.stats().open <= 3, `${writer.stats().open} connections`)
    await whenOpen(reader, 0)
    assert.deepEqual(warnings(), [])
    await pool.close()
    await whenOpen(writer, 0)
  })
}

// Closing waits for five seconds for whoever asked: one server of each protocol will do.
for (const pair of [pairs[0], ...pairs.slice(1).slice(-1)]) {
  if (pair === undefined) continue
  const { name, reader, createPool } = pair
  test(`${createPool.name} on ${name} is closed while it looks for a writer`, async () => {
    const { options, onRetry } = await scene(pair, names.writer)
    const pool = createPool.create(options) as object & { close(timeMs?: number): Promise<void> }
    const asked = pair.wrap(pool as never).query('SELECT 1')
    const refused = assert.rejects(asked, { code: 'RDS_IAM_CLOSED' })
    await new Promise<void>(resolve => onRetry(resolve))
    await pool.close()
    await refused
    await whenOpen(reader, 0)
  })
}

if (missing !== '') test('a writer of MySQL and MariaDB', { skip: missing }, () => {})
