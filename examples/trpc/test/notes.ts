import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda'
import { type Database, startDatabase } from 'rds-iam-kit'
import { httpEvent } from './event.ts'

interface Engine {
  readonly engine: 'postgres' | 'mysql'
  readonly setup: string
  load(): Promise<{
    handler(event: APIGatewayProxyEventV2, context: Context): Promise<APIGatewayProxyStructuredResultV2>
    readonly pool: { query(sql: string): Promise<unknown>; close(): Promise<void> }
  }>
  /** Has the server end all sessions of the user. */
  kill(database: Database): Promise<void>
}

const lifetimeMs = 15 * 60_000

/** Tests the router with one engine. Where its server is not installed, the tests are skipped. */
export async function testNotes({ engine, setup, load, kill }: Engine): Promise<void> {
  // The gateway's clock stands still once it is set.
  let nowMs: number | undefined
  const now = () => nowMs ?? Date.now()
  const database = await startDatabase({ engine, users: ['orders_app'], setup, now }).catch(error => {
    if (error.name !== 'NotInstalled') throw error
    test(`the router with ${engine}`, { skip: error.message }, () => {})
  })
  if (!database) return
  // With the variable that Lambda sets, the pool connects when the function is loaded.
  Object.assign(process.env, database.environment, { AWS_LAMBDA_FUNCTION_NAME: 'notes' })
  const { handler, pool } = await load()
  after(async () => {
    await pool.close()
    await database.close()
  })

  const send = async (event: APIGatewayProxyEventV2) => {
    const { statusCode, body = '' } = await handler(event, {} as Context)
    return { status: statusCode, body: JSON.parse(body) }
  }

  // As `httpBatchLink` of the client sends several calls of one moment.
  const sendBatch = (names: readonly string[]) =>
    send(httpEvent('GET', `/${names.join()}`, { query: { batch: '1' } }))

  const killConnections = async () => {
    await kill(database)
    while (database.stats().open > 0) await setImmediate()
  }

  test('connects while the function initialises, before the first event', async () => {
    while (database.stats().admitted < 1) await setImmediate()
    await send(httpEvent('GET', '/list'))
    assert.equal(database.stats().connections, 1)
  })

  test('writes by a mutation and reads by a query', async () => {
    const added = await send(httpEvent('POST', '/add', { body: { text: 'milk' } }))
    assert.deepEqual(added, { status: 200, body: { result: { data: { id: 1, text: 'milk' } } } })
    assert.deepEqual((await send(httpEvent('GET', '/list'))).body.result.data, [{ id: 1, text: 'milk' }])
  })

  test('refuses an input that does not fit', async () => {
    const { status, body } = await send(httpEvent('POST', '/add', { body: { text: '' } }))
    assert.equal(status, 400)
    assert.equal(body.error.data.code, 'BAD_REQUEST')
  })

  test('opens as many connections as a batch has calls', async () => {
    const { status, body } = await sendBatch(['count', 'list', 'count'])
    assert.equal(status, 200)
    assert.deepEqual(
      body.map(({ result }: { result: { data: unknown } }) => result.data),
      [1, [{ id: 1, text: 'milk' }], 1],
    )
    assert.equal(database.stats().open, 3)
  })

  test('refuses a batch that is too large', async () => {
    assert.equal((await sendBatch(Array.from({ length: 11 }, () => 'list'))).status, 400)
  })

  test('goes on after its connections were killed between two events', async () => {
    await killConnections()
    assert.equal((await sendBatch(['count', 'list', 'count'])).status, 200)
  })

  test('keeps open connections when their token expires, and opens new ones with another', async () => {
    const last = database.decisions.at(-1)
    // A token tells the second that it was signed in: the next one is to be another.
    await setTimeout(1100)
    nowMs = Number(last?.tokenSignedAt) + lifetimeMs + 500
    const { connections } = database.stats()
    await sendBatch(['count', 'list', 'count'])
    assert.equal(database.stats().connections, connections)

    await killConnections()
    assert.equal((await send(httpEvent('GET', '/list'))).status, 200)
    const [expired, admitted] = database.decisions.slice(-2)
    assert.equal(expired?.reason, 'ExpiredToken')
    assert.equal(expired?.tokenId, last?.tokenId)
    assert.equal(admitted?.verdict, 'admitted')
    assert.notEqual(admitted?.tokenId, last?.tokenId)
  })

  test('answers no message of the database, and logs it', async t => {
    const log = t.mock.method(console, 'error', () => {})
    await database.query('DROP TABLE note')
    const { status, body } = await send(httpEvent('GET', '/list'))
    assert.equal(status, 500)
    assert.deepEqual(body.error, {
      message: 'internal error',
      code: -32603,
      data: { code: 'INTERNAL_SERVER_ERROR', httpStatus: 500, path: 'list' },
    })
    assert.match(String(log.mock.calls[0]?.arguments[1]), /note.+exist/)
  })

  test('leaves no connection behind when the pool is closed', async () => {
    await pool.close()
    while (database.stats().open > 0) await setImmediate()
    await assert.rejects(pool.query('SELECT 1'), { code: 'RDS_IAM_CLOSED' })
  })
}
