// What is tried again within the time of an invocation, and what is not, with real servers behind the gateway.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { mock, test } from 'node:test'
import { findFreePort } from '../../../kit/src/database/free-port.ts'
import { makeAuthority } from '../../../kit/src/index.ts'
import { RdsIamError, type RdsIamOptions } from '../../../src/pg.ts'
import type { Db } from '../../support/db.ts'
import { type Kind, sessionOf, useKinds } from '../../support/kinds.ts'
import { contextWithoutDeadline, inLambda, lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { startRelay } from '../../support/relay.ts'

// The gateway and the network refuse here, never a server: one of each protocol will do.
const { kinds, missing } = await useKinds(true)

const unknown = { accessKeyId: 'unknown', secretAccessKey: 'unknown' }

/** A logger that does something at the first attempt that is to be followed by another. */
function loggerThat(act: () => void) {
  const logger = recordingLogger()
  const retries = () => logger.lines.filter(({ fields }) => fields.event === 'connection:retried')
  const note = (level: 'debug' | 'warn') => (message: string, fields: Record<string, unknown>) => {
    logger[level](message, fields)
    if (fields.event === 'connection:retried' && retries().length === 1) act()
  }
  return { ...logger, retries, debug: note('debug'), warn: note('warn') }
}

/** A handler that reaches a port of loopback in the place of the gateway. */
const through = (options: RdsIamOptions, port: number): RdsIamOptions => ({
  ...options,
  port,
  endpoint: { host: 'localhost', port: Number(options.port) },
})

const promises: Readonly<Record<string, (kind: Kind) => Promise<void>>> = {
  async 'carries 20 environments through a limit of 10 new connections a second, each in a function of 6 s'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate({ maxConnectionsPerSecond: 10 })
    const invocations = Array.from({ length: 20 }, () =>
      inLambda(() => createHandler({ ...options, prefetch: false }))(sessionOf(sql), lambdaContext(6_000)),
    )
    const sessions = await Promise.all(invocations)
    assert.equal(new Set(sessions).size, 20)
    const { admitted, connections } = gateway.stats()
    assert.equal(admitted, 20)
    // Nobody hammers.
    assert.ok(connections <= 20 * 12, `${connections} attempts`)
  },

  async 'tries a refused token again sparingly, warns before it does, and leaves nothing behind'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const refusedAtFirstLine: number[] = []
    const logger = loggerThat(() => refusedAtFirstLine.push(gateway.stats().connections))
    const handler = createHandler({ ...options, logger, credentials: unknown, connectTimeoutMs: 9_000 })
    const nearlyOverAtMs = Date.now() + 9_400
    const handling = handler(sessionOf(sql), lambdaContext())
    // Once it was refused twice, there is no time for another attempt.
    while (gateway.stats().refused < 2) await new Promise(resolve => setImmediate(resolve))
    mock.timers.enable({ apis: ['Date'], now: nearlyOverAtMs })
    const ended = handling.finally(() => mock.timers.reset())
    await assert.rejects(ended, (error: unknown) => {
      assert.ok(error instanceof RdsIamError)
      assert.equal(error.code, 'RDS_IAM_ACCESS_DENIED')
      const { refused } = gateway.stats()
      assert.ok(refused > 1)
      const attempts = Number(/ after (\d+) attempts in \d\.\d s: /.exec(error.message)?.[1])
      // The last one may have run out of time before the server answered.
      assert.ok(attempts === refused || attempts === refused + 1, `${attempts} attempts, ${refused} refused`)
      assert.match(error.message, /arn:aws:rds-db:eu-west-1:123456789012:dbuser:<DbiResourceId>\/notes_app/)
      return true
    })
    assert.deepEqual(refusedAtFirstLine, [1])
    const [first, ...others] = logger.retries()
    assert.equal(first?.level, 'warn')
    assert.deepEqual([first?.fields.code, first?.fields.attempt], ['RDS_IAM_ACCESS_DENIED', 1])
    assert.ok(others.every(({ level }) => level === 'debug'))
    assert.equal(logger.warnings().at(-1), 'Connecting to the database failed')
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
  },

  async 'takes what begins to listen while it is tried again'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const port = await findFreePort()
    let relay: ReturnType<typeof startRelay> | undefined
    const logger = loggerThat(() => {
      relay = startRelay(gateway.port, port)
    })
    const handler = createHandler({ ...through(options, port), logger })
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
    assert.ok(relay !== undefined)
    assert.equal(logger.retries()[0]?.fields.code, 'RDS_IAM_UNREACHABLE')
    assert.deepEqual(logger.warnings(), [])
    assert.equal(gateway.stats().connections, 1)
  },

  async 'tries again where the server ends the connection before it lets anybody in'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const server = createServer(socket => socket.on('error', () => {}).destroy())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    let relay: Promise<unknown> | undefined
    const logger = loggerThat(() => {
      relay = once(server.close(), 'close').then(() => startRelay(gateway.port, port))
    })
    const handler = createHandler({ ...through(options, port), logger })
    assert.ok(await handler(sessionOf(sql), lambdaContext()))
    assert.ok(relay !== undefined)
    assert.equal(logger.retries()[0]?.fields.code, 'RDS_IAM_UNAVAILABLE')
  },

  async 'stops in time for the invocation to answer, and says how often it tried'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    await gateway.close()
    const handler = createHandler(options)
    const context = lambdaContext(1_500)
    await assert.rejects(handler(sessionOf(sql), context), {
      code: 'RDS_IAM_UNREACHABLE',
      message: /after \d+ attempts in [01]\.\d s: connect ECONNREFUSED/,
    })
    assert.ok(context.getRemainingTimeInMillis() > 0)
  },

  async 'gives no second try to a server that it does not trust'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const logger = recordingLogger()
    const relay = await startRelay(gateway.port)
    const { ca } = await makeAuthority('stranger')
    const handler = createHandler({ ...through(options, relay.port), tls: { ca }, logger })
    await assert.rejects(handler(sessionOf(sql), lambdaContext()), { code: 'RDS_IAM_TRUST' })
    assert.equal(relay.connections(), 1)
    assert.ok(!logger.lines.some(({ fields }) => fields.event === 'connection:retried'))
  },

  async 'never tries a query of the handler again'({ gate, createHandler, sql, end }) {
    const { gateway, options } = await gate()
    const handler = createHandler(options)
    let runs = 0
    await handler(async db => {
      const connection = await db.take()
      const session = await sessionOf(sql)(connection)
      runs += 1
      const answer = assert.rejects(connection.query(sql.sleep))
      await end([session])
      try {
        return await answer
      } finally {
        connection.release()
      }
    }, lambdaContext())
    assert.equal(runs, 1)
    assert.equal(gateway.stats().connections, 1)
  },

  async 'blames the credentials where signing does not end in time'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const signer = () => new Promise<never>(() => {})
    const handler = createHandler({ ...options, signer, connectTimeoutMs: 1_000 })
    await assert.rejects(handler(sessionOf(sql), lambdaContext()), {
      code: 'RDS_IAM_CREDENTIALS',
      message: /signing did not finish in time/,
    })
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
  },

  async 'says what connecting ahead failed with where an invocation waited for it in vain'({
    gate,
    createHandler,
    sql,
  }) {
    const { options } = await gate()
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    const logger = loggerThat(open)
    const connectTimeoutMs = 1_500
    const handler = inLambda(() =>
      createHandler({ ...options, credentials: unknown, logger, connectTimeoutMs }),
    )
    await opened
    const context = lambdaContext(1_000)
    await assert.rejects(handler(sessionOf(sql), context), { code: 'RDS_IAM_ACCESS_DENIED' })
    assert.ok(context.getRemainingTimeInMillis() > 0)
  },

  async 'asks once an invocation after a whole budget of refusals, and tries as ever once it is let in'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const known = options.credentials
    let current: typeof known = unknown
    const logger = loggerThat(() => {})
    const handler = createHandler({
      ...{ ...options, logger, connectTimeoutMs: 1_200 },
      // Credentials that no token is kept for.
      ...{ credentials: async () => current, tokenMarginMs: 0 },
    })
    const ask = () => handler(sessionOf(sql), lambdaContext())
    await assert.rejects(ask(), {
      code: 'RDS_IAM_ACCESS_DENIED',
      message: / after \d+ attempts in [01]\.\d s: /,
    })
    const { refused } = gateway.stats()
    assert.ok(refused > 1)
    const retries = logger.retries().length

    for (let shift = 0; shift < 3; shift += 1) {
      await assert.rejects(ask(), {
        code: 'RDS_IAM_ACCESS_DENIED',
        message: new RegExp(
          ` after 1 attempt and no more, because ${refused + shift} were refused since 20\\d\\d-[0-9-]+T[0-9:.]+Z: `,
        ),
      })
      assert.equal(gateway.stats().refused, refused + shift + 1)
    }
    assert.equal(logger.retries().length, retries)
    // Invocations that overlap do not ask more often than they are.
    const before = gateway.stats().connections
    await Promise.all(
      Array.from({ length: 4 }, () => assert.rejects(ask(), { code: 'RDS_IAM_ACCESS_DENIED' })),
    )
    assert.ok(gateway.stats().connections - before <= 4)

    current = known
    assert.ok(await ask())
  },

  async 'counts what connecting ahead has tried, and asks once where that was refused for all of its time'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    let toldMs = 0
    const logger = {
      ...recordingLogger(),
      warn: () => {
        toldMs = Date.now()
      },
    }
    const startedMs = Date.now()
    const handler = inLambda(() =>
      createHandler({ ...options, credentials: unknown, logger, connectTimeoutMs: 1_500 }),
    )
    while (gateway.stats().refused < 2) await new Promise(resolve => setImmediate(resolve))
    const ask = () => handler(sessionOf(sql), lambdaContext())
    const failure = await ask().then(
      () => undefined,
      error => error,
    )
    assert.equal(failure?.code, 'RDS_IAM_ACCESS_DENIED')
    const { refused } = gateway.stats()
    const [, attempts, seconds] = / after (\d+) attempts in (\d\.\d) s: /.exec(failure.message) ?? []
    assert.ok(Number(attempts) - refused <= 1 && Number(attempts) >= refused, `${attempts} of ${refused}`)
    // Told where it is counted: nothing else takes time in between.
    assert.ok(Math.abs(Number(seconds) - (toldMs - startedMs) / 1_000) < 0.3, `${seconds} s`)
    await assert.rejects(ask(), { message: / after 1 attempt and no more, because \d+ were refused since / })
    assert.ok(gateway.stats().refused <= refused + 1)
  },

  async 'asks once after an invocation whose own time was shorter than that of connecting ahead'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const logger = loggerThat(() => {})
    const handler = inLambda(() => createHandler({ ...options, credentials: unknown, logger }))
    while (gateway.stats().refused < 2) await new Promise(resolve => setImmediate(resolve))
    await assert.rejects(handler(sessionOf(sql), lambdaContext(1_000)), {
      code: 'RDS_IAM_ACCESS_DENIED',
      message: / after \d+ attempts in \d\.\d s: /,
    })
    // What connecting ahead had begun, and the gateway may not have seen yet, is not the next invocation's.
    const failures = () => logger.lines.filter(({ fields }) => fields.event === 'connection:failed').length
    while (failures() === 0) await new Promise(resolve => setImmediate(resolve))
    const { connections } = gateway.stats()
    const retries = logger.retries().length
    await assert.rejects(handler(sessionOf(sql), lambdaContext()), { code: 'RDS_IAM_ACCESS_DENIED' })
    assert.deepEqual(
      { connections: gateway.stats().connections, retries: logger.retries().length, failures: failures() },
      { connections: connections + 1, retries, failures: 2 },
    )
  },

  async 'connects ahead with tries of its own, for which an invocation waits'({ gate, createHandler, sql }) {
    const { gateway, options } = await gate()
    const port = await findFreePort()
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    const logger = loggerThat(open)
    const handler = inLambda(() => createHandler({ ...through(options, port), logger }))
    await opened
    const invocation = handler(sessionOf(sql), lambdaContext())
    await startRelay(gateway.port, port)
    assert.ok(await invocation)
    assert.equal(gateway.stats().connections, 1)
    assert.ok(!logger.lines.some(({ fields }) => fields.event === 'connection:failed'))
  },
}

const poolPromises: Readonly<Record<string, (kind: Kind) => Promise<void>>> = {
  async 'opens what the handler asks for within the time of its invocation'({ gate, createHandler }) {
    const { gateway, options } = await gate()
    const handler = inLambda(() => createHandler({ ...options, prefetch: false }))
    const context = lambdaContext(1_500)
    const message = await handler(async db => {
      await db.take()
      await gateway.close()
      return db.take().then(
        () => 'connected',
        error => error.message,
      )
    }, context)
    assert.match(String(message), /after \d+ attempts in [0-2]\.\d s: connect ECONNREFUSED/)
    assert.ok(context.getRemainingTimeInMillis() > 0)
  },

  async 'forgets what the handler no longer waits for, and the process goes on'({
    gate,
    createHandler,
    sql,
  }) {
    const { gateway, options } = await gate()
    const unhandled: unknown[] = []
    const note = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    const logger = recordingLogger()
    const handler = inLambda(() => createHandler({ ...options, logger, prefetch: false, max: 1 }))
    let late = 0
    const leave = handler(async db => {
      await db.query(sql.session)
      mock.timers.enable({ apis: ['setTimeout'] })
      for (let count = 0; count < 3; count += 1) db.query(sql.sleep).finally(() => (late += 1))
    }, contextWithoutDeadline())
    const waitInVain = async (db: Db) => {
      await sessionOf(sql)(db)
      // Until after the time that the forgotten ones would have waited.
      mock.timers.tick(15_000)
      await new Promise(resolve => setImmediate(resolve))
    }
    await leave.then(() => handler(waitInVain, contextWithoutDeadline())).finally(() => mock.timers.reset())
    assert.deepEqual(logger.warnings(), [
      'The handler did not release every connection of the pool; they are closed',
    ])
    process.off('unhandledRejection', note)
    assert.deepEqual({ unhandled, late }, { unhandled: [], late: 0 })
    assert.ok(gateway.stats().connections <= 3)
  },
}

for (const kind of kinds) {
  for (const [title, check] of Object.entries({ ...promises, ...(kind.isPool ? poolPromises : {}) })) {
    test(`${kind.name} ${title}`, () => check(kind))
  }
}

test('has been run with both drivers', { skip: missing === '' ? false : missing }, () => {})
