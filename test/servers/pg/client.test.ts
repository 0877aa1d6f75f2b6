import assert from 'node:assert/strict'
import { test } from 'node:test'
import middy from '@middy/core'
import type { Context } from 'aws-lambda'
import pg from 'pg'
import { createPostgresDatabase } from '../../../kit/src/database/postgres-database.ts'
import { type IamPgOptions, iamPg, iamPgPool, RdsIamError } from '../../../src/pg.ts'
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

test('lends a connected pg.Client, authenticated as the user over TLS', async () => {
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

test('lends a new connection after the handler ended its own', async () => {
  const { options } = await gate()
  const handler = createHandler(options)
  const first = await handler(async client => {
    const pid = await selectPid(client)
    await client.end()
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

test('keeps no failed connect: the next invocation tries again', async () => {
  const { gateway, options } = await gate()
  let attempts = 0
  const handler = createHandler({
    ...options,
    credentials: async () => {
      attempts += 1
      if (attempts === 1) throw new Error('no network')
      return options.credentials
    },
  })
  await assert.rejects(async () => handler(selectPid, lambdaContext()), { code: 'RDS_IAM_CREDENTIALS' })
  assert.ok(await handler(selectPid, lambdaContext()))
  assert.equal(gateway.stats().admitted, 1)
})

test('says which ARN the role needs where its token is refused, with the account of the invocation', async () => {
  const { gateway, options } = await gate()
  const handler = createHandler({
    ...options,
    retryRefused: false,
    credentials: { accessKeyId: 'unknown', secretAccessKey: 'unknown' },
  })
  await assert.rejects(
    async () => handler(selectPid, lambdaContext()),
    (error: unknown) => {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_ACCESS_DENIED')
      assert.match(error.message, /arn:aws:rds-db:eu-west-1:123456789012:dbuser:<DbiResourceId>\/notes_app/)
      assert.ok(error.cause instanceof pg.DatabaseError)
      return true
    },
  )
  assert.equal(gateway.stats().refused, 1)
})

test('rolls back a transaction that the handler left open, and says so', async () => {
  const { gateway, options } = await gate()
  const logger = recordingLogger()
  const handler = createHandler({ ...options, logger })
  const leave = (end: string) => async (client: pg.Client) => {
    await client.query('BEGIN')
    await client.query(`INSERT INTO note VALUES ('${end}')`)
    if (end === 'throws') throw new Error(end)
    if (end === 'fails') await client.query('SELECT 1/0').catch(() => {})
  }
  await handler(leave('returns'), lambdaContext())
  await assert.rejects(async () => handler(leave('throws'), lambdaContext()), { message: 'throws' })
  await handler(leave('fails'), lambdaContext())
  const rows = await handler(
    async client =>
      (await client.query('SELECT count(*)::int, now() = statement_timestamp() AS alone FROM note')).rows,
    lambdaContext(),
  )
  assert.deepEqual(rows, [{ count: 0, alone: true }])
  assert.equal(gateway.stats().connections, 1)
  assert.equal(logger.warnings().filter(message => /transaction/.test(message)).length, 3)
})

test('closes a connection whose query still runs when the handler returns, and says so', async () => {
  const { options } = await gate()
  const logger = recordingLogger()
  const handler = createHandler({ ...options, logger })
  const first = await handler(async client => {
    const pid = await selectPid(client)
    client.query('SELECT pg_sleep(30)').catch(() => {})
    return pid
  }, lambdaContext())
  assert.notEqual(await handler(selectPid, lambdaContext()), first)
  assert.deepEqual(logger.warnings(), ['The handler left a query running; the connection is closed'])
})

test('does not end the process by the error of a query that nobody awaits', async () => {
  const { options } = await gate()
  const unhandled: unknown[] = []
  const note = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  for (const create of [createHandler, createPoolHandler]) {
    const handler = inLambda(() => create({ ...options, prefetch: false }))
    await handler(async client => {
      await client.query('SELECT 1')
      client.query('SELECT pg_sleep(30)')
      client.query('SELECT pg_sleep(30)')
    }, lambdaContext())
    await handler(async client => client.query('SELECT 1'), lambdaContext())
  }
  process.off('unhandledRejection', note)
  assert.deepEqual(unhandled, [])
})

test('gives a handler that middy cut off no part in the next invocation', async () => {
  for (const use of [iamPg, iamPgPool]) {
    const { options } = await gate()
    const logger = recordingLogger()
    let resume = () => {}
    const resumed = new Promise<void>(resolve => {
      resume = resolve
    })
    let late: Promise<unknown> = Promise.resolve()
    const handler = inLambda(() =>
      middy<boolean>()
        .use((use as typeof iamPg)({ ...options, logger, prefetch: false }))
        .handler(async (isCutOff, { db }) => {
          if (!isCutOff) return (await db.query('SELECT 1 AS one')).rows[0].one
          late = resumed.then(() => db.query(`INSERT INTO note VALUES ('late')`))
          late.catch(() => {})
          await late
        }),
    )
    await assert.rejects(async () => handler(true, lambdaContext(600) as never), { name: 'TimeoutError' })
    assert.equal(await handler(false, lambdaContext() as never), 1)
    resume()
    await assert.rejects(late)
    assert.equal(await handler(false, lambdaContext() as never), 1)
    assert.match(logger.warnings().join(), /was cut off/)
  }
  assert.deepEqual(await postgres.query(`SELECT * FROM note`, 'notes'), [])
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

test('keeps the session as the handler left it, unless told to reset it', async () => {
  const leave = async (client: pg.Client) => {
    await client.query({ name: 'one', text: 'SELECT 1 AS one' })
    await client.query(
      `SET search_path TO nowhere; LISTEN news; CREATE TEMP TABLE mine (x int); SET ROLE rds_iam`,
    )
    await client.query('SELECT pg_advisory_lock(42)')
  }
  const look = async (client: pg.Client) => {
    const { rows } =
      await client.query(`SELECT current_setting('search_path') AS path, current_user::text AS role,
      (SELECT count(*)::int FROM pg_listening_channels()) AS channels,
      to_regclass('pg_temp.mine') IS NOT NULL AS temp,
      (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks`)
    const { rows: prepared } = await client.query({ name: 'one', text: 'SELECT 1 AS one' })
    return { ...rows[0], ...prepared[0] }
  }
  const left = { path: 'nowhere', role: 'rds_iam', channels: 1, temp: true, locks: 1, one: 1 }
  const clean = { path: '"$user", public', role: 'notes_app', channels: 0, temp: false, locks: 0, one: 1 }
  for (const [resetSession, expected] of [
    [false, left],
    [true, clean],
  ] as const) {
    const { gateway, options } = await gate()
    const handler = createHandler({ ...options, resetSession })
    await handler(leave, lambdaContext())
    assert.deepEqual(await handler(look, lambdaContext()), expected)
    assert.equal(gateway.stats().connections, 1)
    await handler(client => client.end(), lambdaContext())
  }
})

test('gives invocations that overlap a connection each, and up to `max`', async () => {
  const { gateway, options } = await gate()
  const handler = createHandler({ ...options, max: 2 })
  let release = () => {}
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  const hold = async (client: pg.Client) => {
    const pid = await selectPid(client)
    await released
    return pid
  }
  const held = [handler(hold, lambdaContext()), handler(hold, lambdaContext())]
  await assert.rejects(async () => handler(selectPid, lambdaContext(500)), {
    code: 'RDS_IAM_THROTTLED',
    message: /max is 2/,
  })
  const third = handler(selectPid, lambdaContext())
  release()
  const pids = await Promise.all([...held, third])
  assert.equal(new Set(pids).size, 2)
  assert.equal(gateway.stats().connections, 2)
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
  const handler = createHandler({ ...options, max: 1, pingAfterIdleMs: 0 })
  await handler(selectPid, lambdaContext())
  const pids = await Promise.all(Array.from({ length: 4 }, () => handler(selectPid, lambdaContext())))
  assert.equal(new Set(pids).size, 1)
  assert.equal(gateway.stats().connections, 1)
})

test('takes the connection back from an invocation that ended without `after`', async () => {
  const { gateway, options } = await gate()
  const handler = inLambda(() =>
    middy<boolean>()
      .use(iamPg({ ...options, prefetch: false }))
      .before(({ event }) => (event ? 'answered early' : undefined))
      .handler((_event, context) => selectPid(context.db)),
  )
  const answers = [await handler(false, lambdaContext() as never)]
  assert.equal(await handler(true, lambdaContext() as never), 'answered early')
  answers.push(await handler(false, lambdaContext() as never))
  assert.equal(answers[0], answers[1])
  assert.equal(gateway.stats().connections, 1)
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

test('blames the credentials where signing does not finish while the server waits', async () => {
  const { options } = await gate()
  const handler = createHandler({
    ...options,
    connectTimeoutMs: 300,
    credentials: () => new Promise(() => {}),
  })
  await assert.rejects(async () => handler(selectPid, lambdaContext()), {
    code: 'RDS_IAM_CREDENTIALS',
    message: /signing did not finish in time/,
  })
})

test('says that nothing was tried where the invocation has no time left, and lends what needs no connecting', async () => {
  const { options } = await gate()
  const handler = createHandler(options)
  await assert.rejects(async () => handler(selectPid, lambdaContext(100)), {
    code: 'RDS_IAM_UNREACHABLE',
    message: /no time left to connect.*Nothing was tried/,
  })
  const first = await handler(selectPid, lambdaContext())
  assert.equal(await handler(selectPid, lambdaContext(100)), first)
})

test('names what is wrong where nothing listens, the database is missing, or the user is', async () => {
  const { gateway, options } = await gate({ users: ['notes_app'] })
  const fail = (changes: Partial<IamPgOptions>) =>
    createHandler({ ...options, ...changes })(selectPid, lambdaContext())
  await assert.rejects(async () => fail({ database: 'nowhere' }), {
    code: 'RDS_IAM_DATABASE',
    message: /nowhere/,
  })
  await assert.rejects(async () => fail({ user: 'stranger' }), {
    code: 'RDS_IAM_NOT_GRANTED',
    message: /GRANT rds_iam/,
  })
  await gateway.close()
  await assert.rejects(async () => fail({ connectTimeoutMs: 500 }), {
    code: 'RDS_IAM_UNREACHABLE',
    message: /ECONNREFUSED/,
  })
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

test('serves two databases in one handler under names of their own, and takes no name that is in use', async () => {
  const { options } = await gate()
  const handler = middy()
    .use([
      iamPg({ ...options, contextKey: 'notes' }),
      iamPg({ ...options, database: 'postgres', contextKey: 'main' }),
    ])
    .handler(async (_event, { notes, main }) => {
      const [{ rows: a }, { rows: b }] = (await Promise.all(
        [notes, main].map(client => client.query('SELECT current_database()::text AS name')),
      )) as [pg.QueryResult, pg.QueryResult]
      return [a[0].name, b[0].name]
    })
  assert.deepEqual(await handler({}, lambdaContext() as never), ['notes', 'postgres'])
  const clash = middy()
    .use(iamPg(options))
    .use(iamPg(options))
    .handler(() => 'never')
  await assert.rejects(async () => clash({}, lambdaContext() as never), {
    code: 'RDS_IAM_OPTIONS',
    message: /contextKey/,
  })
})

test('says that the user is no IAM user where a real server asks for a SCRAM password', async () => {
  const { port, ca } = await startTlsServer()
  const { options } = await gate()
  const handler = createHandler({ ...options, port, user: 'scram_user', tls: { ca } })
  await assert.rejects(async () => handler(selectPid, lambdaContext()), {
    code: 'RDS_IAM_NOT_GRANTED',
    message: /asked for a password by SCRAM.*GRANT rds_iam/,
  })
})
