import assert from 'node:assert/strict'
import { test } from 'node:test'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import pg from 'pg'
import { createPostgresDatabase } from '../../../kit/src/database/postgres-database.ts'
import { type IamPgOptions, iamPg, iamPgPool } from '../../../src/pg.ts'
import { usePostgres } from '../../support/database.ts'
import { inLambda, lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { startTlsPostgres } from '../../support/tls-postgres.ts'

const { postgres, gate } = await usePostgres()

/** A handler that does with its client what the event says. */
function createHandler(options: IamPgOptions) {
  const handler = middy<(client: pg.Client) => unknown>()
    .use(iamPg(options))
    .handler((run, context) => run(context.db))
  return (run: (client: pg.Client) => unknown, context: Context) => handler(run, context as never)
}

/** The same with a client of a pool of one. */
function createPoolHandler(options: IamPgOptions) {
  const handler = middy<(client: pg.ClientBase) => unknown>()
    .use(iamPgPool({ ...options, max: 1 }))
    .handler(async (run, context) => {
      const client = await context.db.connect()
      try {
        return await run(client)
      } finally {
        client.release()
      }
    })
  return (run: (client: pg.Client) => unknown, context: Context) => handler(run as never, context as never)
}

/** A PostgreSQL server that speaks TLS itself, asks `scram_user` for a password and trusts everybody else. */
async function startTlsServer() {
  const { server, ca } = await startTlsPostgres(
    'hostssl all scram_user all scram-sha-256\nhost all all 127.0.0.1/32 trust',
  )
  const [user, database] = ['notes_app', 'notes']
  await createPostgresDatabase(server, database, [user])
  await server.query(`CREATE TABLE note (text text); GRANT ALL ON note TO ${user}`, database)
  await server.query(`CREATE USER scram_user PASSWORD 'secret'`)
  return { port: server.port, ca }
}

const selectPid = async (client: pg.Client): Promise<number> =>
  (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

const terminate = (pid: number) => postgres.query(`SELECT pg_terminate_backend(${pid}, 5000)`)

/** Waits until the client's process knows of the end of its connection, whoever tells it. */
const seeEnd = (client: pg.Client) => new Promise<void>(resolve => client.once('end', resolve))

test('gives a connected pg.Client, authenticated as the user over TLS', async () => {
  const { options } = await gate()
  const handler = createHandler(options)
  const rows = await handler(async client => {
    assert.ok(client instanceof pg.Client)
    return (await client.query('SELECT current_user::text, current_database()::text')).rows
  }, lambdaContext())
  assert.deepEqual(rows, [{ current_user: 'notes_app', current_database: 'notes' }])
})

test('replaces a connection that ended during an invocation', async () => {
  const { options } = await gate()
  const handler = createHandler(options)
  const first = await handler(async client => {
    const pid = await selectPid(client)
    const end = seeEnd(client)
    await terminate(pid)
    await end
    return pid
  }, lambdaContext())
  assert.notEqual(await handler(selectPid, lambdaContext()), first)
})

test('leaves a connection as it is where the handler connects it again', async () => {
  const { gateway, options } = await gate()
  const handler = createHandler(options)
  const pids = []
  for (let count = 0; count < 2; count += 1) {
    pids.push(
      await handler(async client => {
        await assert.rejects(client.connect(), /already been connected/)
        return selectPid(client)
      }, lambdaContext()),
    )
  }
  assert.equal(pids[0], pids[1])
  assert.equal(gateway.stats().connections, 1)
})

test('keeps a connection whose server says only later that it is ready after an error', async () => {
  // A server of its own with TLS, as RDS: with the gateway in between, both usually come at once.
  const { port, ca } = await startTlsServer()
  for (const create of [createHandler, createPoolHandler]) {
    const logger = recordingLogger()
    const { options } = await gate()
    const handler = create({ ...options, port, tls: { ca }, logger })
    const pids = new Set<unknown>()
    for (let count = 0; count < 50; count += 1) {
      await handler(async client => {
        await client.query(`BEGIN; INSERT INTO note VALUES ('open')`)
        pids.add((await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid)
        await client.query('SELECT 1/0').catch(() => {})
      }, lambdaContext())
    }
    assert.equal(pids.size, 1)
    assert.equal(logger.warnings().length, 50)
    assert.match(String(logger.warnings()), /transaction open/)
  }
})

test('takes the connection of an invocation that is over, for one that waits for it already', async () => {
  const { gateway, options } = await gate()
  const handler = middy<boolean>()
    .use(iamPg({ ...options, max: 1 }))
    .before(({ event }) => (event ? 'answered early' : undefined))
    .handler((_event, context) => selectPid(context.db))
  assert.equal(await handler(true, lambdaContext(1_000) as never), 'answered early')
  await handler(false, lambdaContext(5_000) as never)
  assert.equal(gateway.stats().connections, 2)
})

test('holds no more than `max` connections while one is being looked at', async () => {
  const { gateway, options } = await gate()
  const logger = recordingLogger()
  const handler = createHandler({ ...options, logger, max: 1, pingAfterIdleMs: 0 })
  await handler(selectPid, lambdaContext())
  const pids = await Promise.all(Array.from({ length: 4 }, () => handler(selectPid, lambdaContext())))
  // On a busy machine, a ping may be late, and the connection be replaced; none comes without another one's end.
  const replaced = logger.lines.filter(({ fields }) => fields.event === 'connection:closed').length
  assert.ok(new Set(pids).size <= 1 + replaced)
  assert.equal(gateway.stats().connections, 1 + replaced)
})

test('does not take a connection from its invocation when an earlier one ends late', async () => {
  const { options } = await gate()
  const middleware = inLambda(() => iamPg({ ...options, prefetch: false }))
  const requestOf = (context = lambdaContext()) => ({
    event: {},
    context,
    response: null,
    error: null,
    internal: {},
  })
  const run = (hook: 'before' | 'after', request: ReturnType<typeof requestOf>) =>
    middleware[hook]?.(request as unknown as Parameters<NonNullable<typeof middleware.before>>[0])
  const [first, second, third] = [requestOf(), requestOf(), requestOf()]
  await run('before', first)
  await run('before', second)
  const { db } = second.context as unknown as { db: pg.Client }
  await run('after', first)
  await run('before', third)
  assert.ok(db)
  assert.equal((third.context as unknown as { db: pg.Client }).db, db, 'the third invocation ends the second')
  await run('after', second)
  assert.equal((await db.query('SELECT 1 AS one')).rows[0].one, 1)
  await run('after', third)
  await db.end()
})

test('passes options of the driver on', async () => {
  const { options } = await gate()
  const handler = createHandler({
    ...options,
    client: { application_name: 'orders', statement_timeout: 1234 },
  })
  const rows = await handler(
    async client =>
      (
        await client.query(
          `SELECT current_setting('application_name') AS name, current_setting('statement_timeout') AS timeout`,
        )
      ).rows,
    lambdaContext(),
  )
  assert.deepEqual(rows, [{ name: 'orders', timeout: '1234ms' }])
})

for (const resetSession of [false, true]) {
  test(`runs a named statement over many invocations, resetSession being ${resetSession}`, async () => {
    const { gateway, options } = await gate()
    const handler = createHandler({ ...options, resetSession })
    for (let count = 0; count < 3; count += 1) {
      const { rows } = (await handler(
        client => client.query({ name: 'one', text: 'SELECT $1::int AS one', values: [count] }),
        lambdaContext(),
      )) as pg.QueryResult
      assert.deepEqual(rows, [{ one: count }])
    }
    assert.equal(gateway.stats().connections, 1)
  })
}
