// What every middleware promises, on every server: a promise that one driver keeps and another breaks shows at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import middy, { type MiddlewareObj } from '@middy/core'
import { RdsIamError, type RdsIamOptions } from '../../../src/pg.ts'
import { type Db, mysqlDb, pgDb } from '../../support/db.ts'
import { type Kind, oneOfEach, sessionOf, useKinds } from '../../support/kinds.ts'
import { contextWithoutDeadline, inLambda, lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { startRelay } from '../../support/relay.ts'
import { untilTriedAgain, whileTimePasses } from '../../support/time.ts'

const { kinds, missing } = await useKinds()

/** Lends without ever taking back, as where neither `after` nor `onError` runs, through a relay. */
async function acquireThroughRelay({ gate, create }: Pick<Kind, 'gate' | 'create'>, given: RdsIamOptions) {
  const { gateway, options } = await gate()
  const relay = await startRelay(gateway.port)
  const endpoint = { host: 'localhost', port: gateway.port }
  const all = { ...options, port: relay.port, endpoint, prefetch: false, ...given }
  const middleware = inLambda(() => create(all)) as MiddlewareObj
  const before = async (remainingMs: number) => {
    const request = { context: lambdaContext(remainingMs) } as never as { context: { db: never } }
    await middleware.before?.(request as never)
    return request.context.db
  }
  return { gateway, relay, before }
}

/** What every middleware keeps, on every server. */
const promises: Readonly<Record<string, (kind: Kind) => Promise<void>>> = {
  async 'opens one connection and signs one token for 100 warm invocations'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const handler = createHandler(options)
    const sessions = new Set<unknown>()
    for (let count = 0; count < 100; count += 1) sessions.add(await handler(sessionOf(sql), lambdaContext()))
    const { connections, admitted, tokens } = gateway.stats()
    assert.deepEqual(
      { sessions: sessions.size, connections, admitted, tokens },
      { sessions: 1, connections: 1, admitted: 1, tokens: 1 },
    )
  },

  async 'resets no session that no handler had: one connection is enough'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const handler = inLambda(() => createHandler({ ...options, resetSession: true, pingAfterIdleMs: 0 }))
    await handler(sessionOf(sql), lambdaContext())
    if (sql.canReset) await handler(sessionOf(sql), lambdaContext())
    assert.equal(gateway.stats().connections, 1)
  },

  async 'authenticates every new connection, and signs one token for those that open side by side'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const handler = createHandler({ ...options, max: 3 })
    let holding = 0
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    const hold = async (db: Db) => {
      const connection = await db.take()
      const session = await sessionOf(sql)(connection)
      holding += 1
      if (holding === 3) open()
      await opened
      connection.release()
      return session
    }
    const sessions = await Promise.all([1, 2, 3].map(() => handler(hold, lambdaContext())))
    assert.equal(new Set(sessions).size, 3)
    const { connections, admitted, tokens } = gateway.stats()
    assert.deepEqual({ connections, admitted, tokens }, { connections: 3, admitted: 3, tokens: 1 })
  },

  async 'replaces a connection that ended between invocations before the handler runs, with the token at hand'({
    gate,
    createHandler,
    sql,
    end,
  }) {
    const { gateway, options } = await gate()
    const handler = createHandler(options)
    const first = await handler(sessionOf(sql), lambdaContext())
    await end([Number(first)])
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
    assert.notEqual(await handler(sessionOf(sql), lambdaContext()), first)
    const { connections, tokens } = gateway.stats()
    assert.deepEqual({ connections, tokens }, { connections: 2, tokens: 1 })
  },

  async 'replaces all of several connections that ended between invocations'({
    gate,
    createHandler,
    sql,
    end,
  }) {
    const { gateway, options } = await gate()
    const handler = createHandler({ ...options, max: 3 })
    const round = () => {
      const { promise: opened, resolve: open } = Promise.withResolvers<void>()
      let holding = 0
      const hold = async (db: Db) => {
        const connection = await db.take()
        const session = await sessionOf(sql)(connection)
        holding += 1
        if (holding === 3) open()
        await opened
        connection.release()
        return session
      }
      return Promise.all([1, 2, 3].map(() => handler(hold, lambdaContext()) as Promise<number>))
    }
    await end(await round())
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
    await round()
    assert.equal(gateway.stats().connections, 6)
  },

  async 'does not end the process by the error of a query that nobody awaits'({ gate, createHandler, sql }) {
    const { options } = await gate()
    const unhandled: unknown[] = []
    const note = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    const handler = inLambda(() => createHandler({ ...options, prefetch: false, max: 1 }))
    await handler(async db => {
      await db.query(sql.session)
      db.query(sql.sleep)
      db.query(sql.sleep)
    }, lambdaContext())
    await handler(sessionOf(sql), lambdaContext())
    await new Promise(resolve => setImmediate(resolve))
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
  },

  async 'gives a connection again after the handler ended its own'({ gate, createHandler, sql }) {
    const { options } = await gate()
    const handler = createHandler(options)
    const first = await handler(async db => {
      const session = await sessionOf(sql)(db)
      await db.end()
      return session
    }, lambdaContext())
    assert.notEqual(await handler(sessionOf(sql), lambdaContext()), first)
  },

  async 'keeps a connection that answers the ping'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const handler = createHandler({ ...options, pingAfterIdleMs: 0 })
    for (let count = 0; count < 3; count += 1) await handler(sessionOf(sql), lambdaContext())
    assert.equal(gateway.stats().connections, 1)
  },

  async 'replaces a refused token that had been signed earlier, and tries once more'({
    gate,
    createHandler,
    sql,
    end,
  }) {
    let time = Date.now()
    const { gateway, decisions, options } = await gate({
      maxConnectionsPerSecond: 1,
      now: () => time,
      onDecision: ({ verdict }) => {
        if (verdict === 'refused') time += 1_000
      },
    })
    const handler = createHandler(options)
    await end([Number(await handler(sessionOf(sql), lambdaContext()))])
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
    assert.deepEqual(
      decisions.map(({ verdict }) => verdict),
      ['admitted', 'refused', 'admitted'],
    )
    while (gateway.stats().open > 1) await new Promise(resolve => setImmediate(resolve))
  },

  async 'does not try again where a fresh token is refused and `retryRefused` is false, and says which ARN the role needs'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const logger = recordingLogger()
    const handler = createHandler({
      ...options,
      logger,
      retryRefused: false,
      credentials: { accessKeyId: 'unknown', secretAccessKey: 'unknown' },
    })
    await assert.rejects(handler(sessionOf(sql), lambdaContext()), (error: unknown) => {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_ACCESS_DENIED')
      assert.match(error.message, /arn:aws:rds-db:eu-west-1:123456789012:dbuser:<DbiResourceId>\/notes_app/)
      assert.ok(error.cause instanceof Error && !(error.cause instanceof RdsIamError))
      return true
    })
    assert.equal(gateway.stats().refused, 1)
    assert.deepEqual(
      logger.lines.filter(({ level }) => level !== 'debug').map(({ fields }) => fields.event),
      ['connection:failed'],
    )
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
  },

  async 'rolls back a transaction that the handler left open, and says so'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const logger = recordingLogger()
    const handler = createHandler({ ...options, logger, max: 1 })
    const leave = (end: string) => async (db: Db) => {
      const connection = await db.take()
      try {
        await connection.query('BEGIN')
        await connection.query(`INSERT INTO note VALUES ('${end}')`)
        if (end === 'throws') throw new Error(end)
        if (end === 'fails') await connection.query('SELECT nonsense').catch(() => {})
      } finally {
        connection.release()
      }
    }
    await handler(leave('returns'), lambdaContext())
    await assert.rejects(handler(leave('throws'), lambdaContext()), { message: 'throws' })
    await handler(leave('fails'), lambdaContext())
    const rows = await handler(db => db.query('SELECT text FROM note'), lambdaContext())
    assert.deepEqual(rows, [])
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
    assert.equal(gateway.stats().connections, 1)
    assert.equal(logger.warnings().filter(message => /transaction/.test(message)).length, 3)
  },

  async 'does not speak of a transaction where there was none, be it that the last query failed'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const logger = recordingLogger()
    const handler = createHandler({ ...options, logger })
    await handler(async db => {
      const connection = await db.take()
      await connection.query('BEGIN')
      await connection.query(sql.session)
      await connection.query('COMMIT')
      await connection.query('SELECT nonsense').catch(() => {})
      connection.release()
    }, lambdaContext())
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
    assert.deepEqual(logger.warnings(), [])
    assert.equal(gateway.stats().connections, 1)
  },

  async 'closes a connection whose query still runs when the handler gives it back, and says so'({
    gate,
    createHandler,
    sql,
  }) {
    const { options } = await gate()
    const logger = recordingLogger()
    const handler = createHandler({ ...options, logger, max: 1 })
    const first = await handler(async db => {
      const connection = await db.take()
      const session = await sessionOf(sql)(connection)
      connection.query(sql.sleep).catch(() => {})
      connection.release()
      return session
    }, lambdaContext())
    assert.notEqual(await handler(sessionOf(sql), lambdaContext()), first)
    assert.deepEqual(logger.warnings(), ['The handler left a query running; the connection is closed'])
  },

  async 'keeps the session as the handler left it, unless told to reset it'({ gate, createHandler, sql }) {
    for (const [resetSession, expected] of [
      [false, sql.changed],
      [true, sql.clean],
    ] as const) {
      const { gateway, options } = await gate()
      const handler = createHandler({ ...options, resetSession, max: 1 })
      await handler(async db => {
        const connection = await db.take()
        for (const statement of sql.change) await connection.query(statement)
        connection.release()
      }, lambdaContext())
      const [row] = (await handler(db => db.query(sql.look), lambdaContext())) as object[]
      assert.deepEqual({ ...row }, expected)
      assert.equal(gateway.stats().connections, resetSession && !sql.canReset ? 2 : 1)
      await handler(db => db.end(), lambdaContext())
    }
  },

  async 'names what is wrong where nothing listens, or the database is missing'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const fail = (changes: RdsIamOptions) =>
      createHandler({ ...options, ...changes })(sessionOf(sql), lambdaContext())
    await assert.rejects(fail({ database: 'nowhere' }), { code: 'RDS_IAM_DATABASE', message: /nowhere/ })
    await gateway.close()
    await assert.rejects(
      untilTriedAgain(() => fail({})),
      { code: 'RDS_IAM_UNREACHABLE', message: /ECONNREFUSED/ },
    )
  },

  async 'passes errors of the queries of the handler on as they are'({ gate, createHandler, sql }) {
    const { options } = await gate()
    let thrown: unknown
    const handler = createHandler(options)
    await assert.rejects(
      handler(
        db =>
          db.query('SELECT nothing FROM nowhere').catch(error => {
            thrown = error
            throw error
          }),
        lambdaContext(),
      ),
      error => error === thrown && (error as { code?: string }).code === sql.missingTable,
    )
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
  },
}

/** What every middleware keeps whatever the server: nothing in them is up to it. */
const promisesWithoutServer: Readonly<Record<string, (kind: Kind) => Promise<void>>> = {
  async 'asks a connection of an invocation that ended without `after` for a sign of life'({
    gate,
    create,
    sql,
  }) {
    const { gateway, relay, before } = await acquireThroughRelay({ gate, create }, { pingAfterIdleMs: 50 })
    const query = (db: { query(sql: string): Promise<unknown> }) => db.query(sql.session)
    await query(await before(30_000))
    relay.swallow()
    relay.heal()
    const thawsAtMs = Date.now() + 100
    while (Date.now() < thawsAtMs) {}
    await before(10_000)
    assert.equal(gateway.stats().connections, 2)
  },

  async 'leaves an invocation time where an earlier one ended without `after` and its connection does not answer'({
    name,
    gate,
    create,
  }) {
    const { relay, before } = await acquireThroughRelay({ gate, create }, { max: 2 })
    const connection = await (name.startsWith('iamPg') ? pgDb : mysqlDb)(await before(30_000)).take()
    await connection.query('BEGIN')
    relay.swallow()
    connection.release()
    relay.heal()
    const deadlineMs = Date.now() + 900
    await before(900)
    assert.ok(Date.now() < deadlineMs)
  },

  async 'gives a handler that middy cut off no part in the next invocation'({ gate, createHandler, sql }) {
    const { options } = await gate()
    const handler = inLambda(() => createHandler({ ...options, prefetch: false }))
    // To connect may take longer than the invocation that is cut off has.
    await handler(sessionOf(sql), lambdaContext())
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    let late: Promise<unknown> = Promise.resolve()
    const cutOff = handler(async db => {
      await db.query(sql.session)
      // A client is closed. A pool goes on for whoever holds it, with connections of its own.
      late = opened.then(() => sessionOf(sql)(db)).catch(() => 'closed')
      await late
    }, lambdaContext(800))
    await assert.rejects(cutOff, { name: 'TimeoutError' })
    const session = await handler(sessionOf(sql), lambdaContext())
    open()
    assert.notEqual(await late, session)
    assert.equal(await handler(sessionOf(sql), lambdaContext()), session)
  },

  async 'finds a flow that was silently dropped by a ping, and replaces the connection'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const relay = await startRelay(gateway.port)
    const endpoint = { host: 'localhost', port: gateway.port }
    const handler = createHandler({ ...options, port: relay.port, endpoint, pingAfterIdleMs: 0 })
    const first = await handler(sessionOf(sql), lambdaContext())
    relay.swallow()
    relay.heal()
    assert.notEqual(await handler(sessionOf(sql), lambdaContext()), first)
    assert.equal(gateway.stats().connections, 2)
  },

  async 'keeps no failed connect, and leaves no socket behind: the next invocation tries again'({
    gate,
    createHandler,
    sql,
  }) {
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
    await assert.rejects(handler(sessionOf(sql), lambdaContext()), {
      code: 'RDS_IAM_CREDENTIALS',
      message: /no network/,
    })
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
    assert.equal(gateway.stats().admitted, 1)
  },

  async 'says that all connections are in use where one is waited for in vain'({ gate, createHandler, sql }) {
    const { options } = await gate()
    const handler = createHandler({ ...options, max: 1 })
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    let held = (): void => {}
    const isHeld = new Promise<void>(resolve => {
      held = resolve
    })
    const first = handler(async db => {
      const connection = await db.take()
      held()
      await opened
      const session = await sessionOf(sql)(connection)
      connection.release()
      return session
    }, lambdaContext())
    await isHeld
    await assert.rejects(
      whileTimePasses(() => handler(sessionOf(sql), contextWithoutDeadline())),
      { code: 'RDS_IAM_THROTTLED', message: /raise `max`/ },
    )
    const third = handler(sessionOf(sql), lambdaContext())
    open()
    assert.equal(await third, await first)
  },

  async 'connects ahead in Lambda, and uses that connection for the first invocation'({
    gate,
    createHandler,
    sql,
  }) {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    const { gateway, options } = await gate({ onDecision: () => open() })
    const handler = inLambda(() => createHandler(options))
    await opened
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
    assert.equal(gateway.stats().connections, 1)
  },

  async 'does not connect ahead outside Lambda, nor where `prefetch` is false'({ gate, create }) {
    let signed = 0
    const { options } = await gate()
    const credentials = async () => {
      signed += 1
      return options.credentials
    }
    create({ ...options, credentials })
    inLambda(() => create({ ...options, credentials, prefetch: false }))
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(signed, 0)
  },

  async 'forgets that connecting ahead failed'({ gate, createHandler, sql }) {
    const { options } = await gate()
    const logger = recordingLogger()
    let attempts = 0
    const handler = inLambda(() =>
      createHandler({
        ...options,
        logger,
        credentials: async () => {
          attempts += 1
          if (attempts === 1) throw new Error('not yet')
          return options.credentials
        },
      }),
    )
    while (logger.lines.length === 0) await new Promise(resolve => setImmediate(resolve))
    assert.equal(logger.lines[0]?.message, 'Connecting to the database failed')
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
  },

  async 'gives up before the invocation ends, where no answer comes'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const relay = await startRelay(gateway.port)
    relay.swallow()
    const endpoint = { host: 'localhost', port: gateway.port }
    const handler = createHandler({ ...options, port: relay.port, endpoint, connectTimeoutMs: 900 })
    const context = lambdaContext(600)
    await assert.rejects(handler(sessionOf(sql), context), {
      code: 'RDS_IAM_UNREACHABLE',
      message: /security group/,
    })
    assert.ok(context.getRemainingTimeInMillis() > 0)
    await assert.rejects(handler(sessionOf(sql), lambdaContext()), {
      code: 'RDS_IAM_UNREACHABLE',
      message: /security group/,
    })
  },

  async 'takes no name on the context that is in use'({ gate, create }) {
    const { options } = await gate()
    const clash = middy()
      .use([create(options), create(options)] as MiddlewareObj[])
      .handler(() => 'never')
    await assert.rejects(async () => clash({}, lambdaContext() as never), {
      code: 'RDS_IAM_OPTIONS',
      message: /contextKey/,
    })
  },

  async 'says that nothing was tried where the invocation has no time left, and gives what needs no connecting'({
    gate,
    createHandler,
    sql,
  }) {
    const { options } = await gate()
    const handler = createHandler(options)
    await assert.rejects(handler(sessionOf(sql), lambdaContext(100)), {
      code: 'RDS_IAM_UNREACHABLE',
      message: /no time left to connect.*Nothing was tried/,
    })
    const first = await handler(sessionOf(sql), lambdaContext())
    assert.equal(await handler(sessionOf(sql), lambdaContext(100)), first)
  },
}

for (const kind of kinds) {
  for (const [title, check] of Object.entries(promises)) test(`${kind.name} ${title}`, () => check(kind))
}
for (const kind of oneOfEach(kinds)) {
  for (const [title, check] of Object.entries(promisesWithoutServer))
    test(`${kind.name} ${title}`, () => check(kind))
}

test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})
