// With the real Powertools Metrics, in a function's own process.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findMysqlKinds, useMysql, usePostgres } from '../support/database.ts'
import { sourceOf, startModule } from '../support/middleware-function.ts'

const { postgres, gate } = await usePostgres()

/** A handler that runs what it is told, with the middlewares in the order that docs/observability.md gives. */
const moduleOf = (entry: string, factory: string, options: object) => `
  import { Metrics } from '@aws-lambda-powertools/metrics'
  import { logMetrics } from '@aws-lambda-powertools/metrics/middleware'
  import middy from '@middy/core'
  import { ${factory} } from ${sourceOf(entry)}
  const metrics = new Metrics({ namespace: 'notes', serviceName: 'notes' })
  export const handler = middy()
    .use(logMetrics(metrics))
    .use(${factory}({ ...${JSON.stringify(options)}, metrics }))
    .handler((event, { db }) => db.query(event.sql).then(() => 'done'))`

interface EmfLine {
  readonly [name: string]: unknown
  readonly _aws: {
    readonly CloudWatchMetrics: readonly { readonly Metrics: readonly { Name: string; Unit: string }[] }[]
  }
}

/** The metrics of each line in EMF. @see https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
function readMetrics(logs: string): Record<string, unknown>[] {
  return logs
    .split('\n')
    .filter(line => line.startsWith('{"_aws"'))
    .map(line => {
      const emf = JSON.parse(line) as EmfLine
      const metrics = emf._aws.CloudWatchMetrics.flatMap(({ Metrics }) => Metrics)
      return Object.fromEntries(metrics.map(({ Name, Unit }) => [Name, [emf[Name], Unit].flat()]))
    })
}

/** What a function writes comes by another way than what it answers. */
async function waitFor(isThere: () => boolean): Promise<void> {
  while (!isThere()) await new Promise(resolve => setImmediate(resolve))
}

const isDuration = (value: unknown): boolean =>
  Array.isArray(value) && Number(value[0]) >= 0 && value[1] === 'Milliseconds'

test('what happens in INIT and between invocations stands in the EMF line of the invocation after it', async () => {
  const { gateway, options } = await gate()
  const notes = await startModule(moduleOf('pg.ts', 'iamPg', options))
  const query = async (sql: string) => assert.equal((await notes.invoke({ sql })).error, undefined)
  await query('SELECT 1')
  await query('SELECT 1')
  await waitFor(() => notes.logs().includes('No application metrics to publish'))
  const [first, ...others] = readMetrics(notes.logs())
  assert.deepEqual(others, [], 'a warm invocation adds none')
  assert.ok(isDuration(first?.DatabaseConnectDuration))
  assert.deepEqual(
    { ...first },
    {
      DatabaseConnectionsOpened: [1, 'Count'],
      DatabaseConnectDuration: first?.DatabaseConnectDuration,
    },
  )

  await postgres.query(
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'notes_app'`,
  )
  while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
  await query('BEGIN')
  await waitFor(() => readMetrics(notes.logs()).length > 1)
  const [, second] = readMetrics(notes.logs())
  assert.deepEqual(
    { ...second, DatabaseConnectDuration: isDuration(second?.DatabaseConnectDuration) },
    {
      DatabaseConnectionsReplaced: [1, 'Count'],
      DatabaseConnectionsOpened: [1, 'Count'],
      DatabaseConnectDuration: true,
    },
  )
})

test('a refusal stands in the EMF line of the invocation that failed', async () => {
  const { options } = await gate({ credentials: [] })
  const notes = await startModule(
    moduleOf('pg.ts', 'iamPgPool', { ...options, prefetch: false, retryRefused: false }),
  )
  assert.match(
    String((await notes.invoke({ sql: 'SELECT 1' })).error?.errorMessage),
    /PAM authentication failed/,
  )
  await waitFor(() => readMetrics(notes.logs()).length > 0)
  assert.deepEqual(readMetrics(notes.logs()), [{ DatabaseConnectRefusals: [1, 'Count'] }])
})

const {
  kinds: [kind],
  missing,
} = findMysqlKinds()

test('MySQL counts as PostgreSQL does', { skip: kind === undefined && missing }, async () => {
  const { gate } = await useMysql(kind as NonNullable<typeof kind>)
  const { options } = await gate()
  const shop = await startModule(moduleOf('mysql2.ts', 'iamMysqlPool', options))
  assert.equal((await shop.invoke({ sql: 'SELECT 1' })).payload, 'done')
  await waitFor(() => readMetrics(shop.logs()).length > 0)
  const [line] = readMetrics(shop.logs())
  assert.deepEqual(line?.DatabaseConnectionsOpened, [1, 'Count'])
  assert.ok(isDuration(line?.DatabaseConnectDuration))
})
