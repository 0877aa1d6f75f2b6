// Lambda ends an environment with an extension by SIGTERM, and kills it half a second later.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionProcess } from '../../local/function-process.ts'
import { iamPg } from '../../src/pg.ts'
import { findMysqlKinds, type Gate, useMysql, usePostgres } from '../support/database.ts'
import { inLambda } from '../support/lambda.ts'
import { sourceOf, startModule } from '../support/middleware-function.ts'
import { startRelay } from '../support/relay.ts'

interface Server {
  readonly name: string
  readonly entry: string
  readonly factories: readonly string[]
  readonly gate: Gate
  /** How many sessions ended without a word of their client. */
  countAborted(): Promise<number>
  /** How many sessions there are, this question's own among them. */
  countSessions(): Promise<number>
}

const servers: Server[] = []
const { postgres, gate } = await usePostgres()
const askPostgres = async (sql: string) => Number((await postgres.query(sql))[0]?.value)
servers.push({
  name: 'PostgreSQL',
  entry: 'pg.ts',
  factories: ['iamPg', 'iamPgPool'],
  gate,
  countAborted: () =>
    askPostgres(`SELECT sessions_abandoned AS value FROM pg_stat_database WHERE datname = 'notes'`),
  countSessions: () =>
    askPostgres(`SELECT count(*) AS value FROM pg_stat_activity WHERE backend_type = 'client backend'`),
})
// How mysql2 says goodbye is not up to the server: one of them will do.
const { kinds, missing } = findMysqlKinds()
for (const kind of kinds.slice(-1)) {
  const { mysql, gate } = await useMysql(kind)
  const ask = async (name: string) =>
    Number((await mysql.query(`SHOW GLOBAL STATUS LIKE '${name}'`))[0]?.Value)
  servers.push({
    name: kind === 'mysql' ? `MySQL ${mysql.version}` : 'MariaDB',
    entry: 'mysql2.ts',
    factories: ['iamMysql', 'iamMysqlPool'],
    gate,
    countAborted: () => ask('Aborted_clients'),
    countSessions: () => ask('Threads_connected'),
  })
}

/** A pool has three. */
const connectionsOf = (factory: string): number[] => (factory.endsWith('Pool') ? [1, 2, 3] : [1])

/** A function with its connections, and what else its module does. */
async function startConnected(
  { entry }: Server,
  factory: string,
  options: object,
  module = '',
): Promise<FunctionProcess> {
  const started = await startModule(`
    import middy from '@middy/core'
    import { ${factory} } from ${sourceOf(entry)}
    ${module}
    const run = (db, sql) => db.query(sql).then(() => 'done')
    export const handler = middy().use(${factory}(${JSON.stringify(options)})).handler((event, { db }) =>
      Promise.all(event.map(sql => run(db, sql))))`)
  const { error } = await started.invoke(connectionsOf(factory).map(() => 'SELECT 1'))
  assert.equal(error, undefined)
  return started
}

/** Waits until the server has but one session, that of the question. */
async function waitForEnd({ countSessions }: Server): Promise<void> {
  while ((await countSessions()) > 1) await new Promise(resolve => setImmediate(resolve))
}

for (const server of servers) {
  for (const factory of server.factories) {
    const name = `${factory} on ${server.name}`

    test(`${name} ends its connections politely, and lets the process end by the signal`, async t => {
      const { options } = await server.gate()
      await waitForEnd(server)
      const before = await server.countAborted()
      const killed = await startConnected(server, factory, options)
      await killed.stop()
      await waitForEnd(server)
      const aborted = before + connectionsOf(factory).length
      assert.equal(await server.countAborted(), aborted, 'what the server counts where nobody says goodbye')

      const told = await startConnected(server, factory, options)
      const { code, signal, durationMs } = await told.shutDown()
      assert.deepEqual({ code, signal }, { code: null, signal: 'SIGTERM' })
      assert.doesNotMatch(told.logs(), /error|warning/i)
      await waitForEnd(server)
      assert.equal(await server.countAborted(), aborted)
      t.diagnostic(`ended after ${durationMs.toFixed(1)} ms`)
    })

    test(`${name} leaves the end to whoever else listens, be it once and first`, async () => {
      const { options } = await server.gate()
      await waitForEnd(server)
      const before = await server.countAborted()
      const listener = `process.once('SIGTERM', () => setTimeout(() => process.exit(7), 400))`
      const told = await startConnected(server, factory, options, listener)
      const { code, signal } = await told.shutDown()
      assert.deepEqual({ code, signal }, { code: 7, signal: null })
      await waitForEnd(server)
      assert.equal(await server.countAborted(), before)
    })

    test(`${name} does not wait for a server that does not answer`, async () => {
      const { gateway, options } = await server.gate()
      const relay = await startRelay(gateway.port)
      const endpoint = { host: 'localhost', port: gateway.port }
      const told = await startConnected(server, factory, { ...options, port: relay.port, endpoint })
      relay.swallow()
      const { code, signal } = await told.shutDown()
      assert.deepEqual({ code, signal }, { code: null, signal: 'SIGTERM' })
      await gateway.close()
    })
  }
}

test('has been run with both drivers', { skip: kinds.length === 0 && missing }, () => {})

test('listens to SIGTERM once for all middlewares, in Lambda, and not at all elsewhere', () => {
  const options = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'orders_app', prefetch: false }
  const before = process.listenerCount('SIGTERM')
  iamPg(options)
  assert.equal(process.listenerCount('SIGTERM'), before)
  for (let count = 0; count < 20; count += 1) inLambda(() => iamPg(options))
  assert.equal(process.listenerCount('SIGTERM'), before + 1)
})
