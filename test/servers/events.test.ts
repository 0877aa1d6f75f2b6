// Each thing that happens to a connection is told once: in the log, on its channel and in the metrics, whatever the driver.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RdsIamError, type RdsIamEvent } from '../../src/index.ts'
import type { RdsIamOptions } from '../../src/pg.ts'
import type { Gated } from '../support/database.ts'
import type { Db } from '../support/db.ts'
import { type Handler, type Kind, sessionOf, useKinds } from '../support/kinds.ts'
import { inLambda, lambdaContext } from '../support/lambda.ts'
import { runModule } from '../support/node-process.ts'
import { recordObservers } from '../support/recording-observers.ts'
import { startRelay } from '../support/relay.ts'
import { hasPostgres } from '../support/servers.ts'

// What is told is up to the driver: one server of each protocol will do.
const { kinds, missing } = await useKinds(true)

/** An event without what is the same for all, and with what a clock decides checked and left out. */
type Seen = { readonly event: RdsIamEvent['event'] } & Readonly<Record<string, unknown>>

const opened = (tokenReused: boolean): Seen => ({ event: 'connection:opened', tokenReused })
const signed: Seen = { event: 'token:signed' }
const closed = (reason: string, connections = 1): Seen => ({
  event: 'connection:closed',
  reason,
  connections,
})
const reused: Seen = { event: 'connection:checked' }
const rolledBack: Seen = { event: 'transaction:rolled-back' }

/** What does not answer is closed once another one is there. */
const replaced = (reason: string): Seen[] => [opened(true), closed(reason)]

const timeFields: Readonly<Record<string, readonly string[]>> = {
  'connection:opened': ['durationMs'],
  'connection:checked': ['silenceMs', 'durationMs'],
  'connection:failed': ['durationMs'],
  'token:signed': ['durationMs'],
}

/** Compares what was told with what was to be told, and everywhere the same. */
function assertTold(
  { logger, metrics, messages }: ReturnType<typeof recordObservers>,
  { options }: Pick<Gated, 'options'>,
  expected: readonly Seen[],
  levels: Readonly<Record<string, 'warn'>> = {},
): void {
  const { host, user, database } = options
  const seen = messages.map(({ channel, message }) => {
    assert.equal(channel, `middy-rds-iam:${message.event}`)
    const { host: itsHost, port, user: itsUser, database: itsDatabase, ...rest } = { ...message }
    assert.deepEqual({ host: itsHost, user: itsUser, database: itsDatabase }, { host, user, database })
    assert.ok(Number.isInteger(port))
    const fields: Record<string, unknown> = rest
    for (const name of timeFields[message.event] ?? []) {
      assert.ok(Number.isInteger(fields[name]) && Number(fields[name]) >= 0, `${name}: ${fields[name]}`)
      delete fields[name]
    }
    if (message.event === 'token:signed') {
      const leftMs = Date.parse(message.expiresAt) - Date.now()
      assert.ok(leftMs > 800_000 && leftMs <= 900_000, message.expiresAt)
      delete fields.expiresAt
    }
    if ('error' in message) {
      assert.ok(message.error instanceof RdsIamError)
      assert.equal(message.error.code, message.code)
      delete fields.error
    }
    return fields
  })
  assert.deepEqual(seen, expected)
  assert.deepEqual(
    logger.lines.map(({ fields }) => fields),
    messages.map(({ message }) => message),
    'the log has the same events with the same fields',
  )
  for (const { level, message, fields } of logger.lines) {
    const name = String(fields.reason ?? fields.event)
    assert.equal(level, levels[name] ?? 'debug', name)
    assert.match(message, /^[A-Z].*[a-z]$/)
  }
  assert.deepEqual(
    metrics.added,
    messages.flatMap(({ message }) => metricsOf(message)),
  )
}

/** What docs/observability.md says that each event counts. */
function metricsOf(event: RdsIamEvent): (readonly [string, string, number])[] {
  const isRefused = 'code' in event && event.code === 'RDS_IAM_ACCESS_DENIED'
  const refusals = isRefused ? [['DatabaseConnectRefusals', 'Count', 1] as const] : []
  switch (event.event) {
    case 'connection:opened':
      return [
        ['DatabaseConnectionsOpened', 'Count', 1],
        ['DatabaseConnectDuration', 'Milliseconds', event.durationMs],
      ]
    case 'connection:closed':
      return event.reason === 'shutdown' ? [] : [['DatabaseConnectionsReplaced', 'Count', event.connections]]
    case 'connection:retried':
      return [['DatabaseConnectRetries', 'Count', 1], ...refusals]
    case 'connection:failed':
      return refusals
    default:
      return []
  }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

interface Scene extends Gated {
  readonly kind: Kind
  readonly handler: Handler
  readonly told: ReturnType<typeof recordObservers>
}

/** A handler that is listened to in every way. */
async function play(
  kind: Kind,
  run: (scene: Scene) => Promise<void>,
  { gated, ...options }: Partial<RdsIamOptions> & { readonly gated?: Gated } = {},
): Promise<void> {
  const gate = gated ?? (await kind.gate())
  const told = recordObservers(options.port ?? gate.gateway.port)
  const { logger, metrics } = told
  const all = { ...gate.options, max: 1, prefetch: false, ...options, logger, metrics }
  const handler = inLambda(() => kind.createHandler(all))
  try {
    await run({ ...gate, kind, handler, told })
  } finally {
    told.stop()
  }
}

/** Reaches the gateway through a relay. */
async function throughRelay(gated: Gated) {
  const relay = await startRelay(gated.gateway.port)
  return { relay, options: { port: relay.port, endpoint: { host: 'localhost', port: gated.gateway.port } } }
}

const tales: Readonly<Record<string, (kind: Kind) => Promise<void>>> = {
  'signing and opening, and nothing of 100 warm invocations': kind =>
    play(kind, async scene => {
      const { handler, told } = scene
      for (let count = 0; count < 101; count += 1) await handler(sessionOf(kind.sql), lambdaContext())
      assertTold(told, scene, [signed, opened(false)])
    }),

  'a ping that was answered': kind =>
    play(
      kind,
      async scene => {
        const { handler, told } = scene
        for (let count = 0; count < 3; count += 1) await handler(sessionOf(kind.sql), lambdaContext())
        // A pool that was just opened has been silent for no longer than that.
        const pings = told.messages.filter(({ message }) => message.event === 'connection:checked').length
        assert.ok(pings === 2, `${pings}`)
        assertTold(told, scene, [signed, opened(false), reused, reused])
      },
      { pingAfterIdleMs: 0 },
    ),

  'a ping that was not answered': async kind => {
    const gated = await kind.gate()
    const { relay, options } = await throughRelay(gated)
    await play(
      kind,
      async scene => {
        const { handler, told } = scene
        await handler(sessionOf(kind.sql), lambdaContext())
        relay.swallow()
        relay.heal()
        await handler(sessionOf(kind.sql), lambdaContext())
        assertTold(told, scene, [signed, opened(false), ...replaced('silent')])
      },
      { gated, ...options, pingAfterIdleMs: 0 },
    )
  },

  'a connection that was lost between invocations': kind =>
    play(kind, async scene => {
      const { handler, told, gateway } = scene
      await kind.end([Number(await handler(sessionOf(kind.sql), lambdaContext()))])
      while (gateway.stats().open > 0) await turn()
      await handler(sessionOf(kind.sql), lambdaContext())
      assertTold(told, scene, [signed, opened(false), closed('lost'), opened(true)])
    }),

  'a connection that ended during the invocation': kind =>
    play(kind, async scene => {
      const { handler, told } = scene
      await handler(async db => {
        const connection = await db.take()
        await kind.end([await sessionOf(kind.sql)(connection)])
        await assert.rejects(connection.query(kind.sql.session))
        connection.release()
      }, lambdaContext())
      assertTold(told, scene, [signed, opened(false), closed('ended')])
    }),

  'a query that was left running': kind =>
    play(kind, async scene => {
      const { handler, told } = scene
      await handler(async db => {
        const connection = await db.take()
        connection.query(kind.sql.sleep).catch(() => {})
        connection.release()
      }, lambdaContext())
      assertTold(told, scene, [signed, opened(false), closed('query-running')], { 'query-running': 'warn' })
    }),

  'a transaction that was left open': kind =>
    play(kind, async scene => {
      const { handler, told } = scene
      await handler(leaveTransaction, lambdaContext())
      assertTold(told, scene, [signed, opened(false), rolledBack], { 'transaction:rolled-back': 'warn' })
    }),

  'a session that could not be put back': async kind => {
    const gated = await kind.gate()
    const { relay, options } = await throughRelay(gated)
    await play(
      kind,
      async scene => {
        const { handler, told } = scene
        await handler(async db => {
          await leaveTransaction(db, () => relay.swallow())
        }, lambdaContext())
        assertTold(told, scene, [signed, opened(false), rolledBack], { 'transaction:rolled-back': 'warn' })
        relay.heal()
        await handler(sessionOf(kind.sql), lambdaContext())
        const end = replaced('not-restored')
        assertTold(told, scene, [signed, opened(false), rolledBack, ...end], {
          'transaction:rolled-back': 'warn',
        })
      },
      { gated, ...options },
    )
  },

  'a handler that was cut off': kind =>
    play(kind, async scene => {
      const { handler, told } = scene
      const cutOff = handler(db => db.query(kind.sql.sleep), lambdaContext(1_000))
      await assert.rejects(cutOff, { name: 'TimeoutError' })
      assertTold(told, scene, [signed, opened(false), closed('cut-off')], { 'cut-off': 'warn' })
    }),

  'a refusal, once where it is not to be tried again': async kind => {
    const gated = await kind.gate({ credentials: [] })
    await play(
      kind,
      async scene => {
        const { handler, told } = scene
        await assert.rejects(async () => handler(sessionOf(kind.sql), lambdaContext()))
        const failed = { event: 'connection:failed', code: 'RDS_IAM_ACCESS_DENIED' } as const
        assertTold(told, scene, [signed, failed], { 'connection:failed': 'warn' })
      },
      { gated, retryRefused: false },
    )
  },

  'a refused token that was replaced': async kind => {
    let time = Date.now()
    const gated = await kind.gate({
      maxConnectionsPerSecond: 1,
      now: () => time,
      onDecision: ({ verdict }) => {
        if (verdict === 'refused') time += 1_000
      },
    })
    await play(
      kind,
      async scene => {
        const { handler, told, gateway } = scene
        await kind.end([Number(await handler(sessionOf(kind.sql), lambdaContext()))])
        while (gateway.stats().open > 0) await turn()
        await handler(sessionOf(kind.sql), lambdaContext())
        const code = 'RDS_IAM_ACCESS_DENIED'
        const retried = { event: 'connection:retried', code, attempt: 1, delayMs: 0, refusals: 0 } as const
        const before = [signed, opened(false), closed('lost')]
        assertTold(told, scene, [...before, retried, signed, opened(false)])
      },
      { gated },
    )
  },

  'a server that cannot be verified, for whom no token is signed': async kind => {
    const gated = await kind.gate()
    await play(
      kind,
      async scene => {
        const { handler, told } = scene
        await assert.rejects(async () => handler(sessionOf(kind.sql), lambdaContext()))
        const failed = { event: 'connection:failed', code: 'RDS_IAM_CREDENTIALS' } as const
        assertTold(told, scene, [failed], { 'connection:failed': 'warn' })
      },
      { gated, signer: () => 'no token' },
    )
  },

  'a shutdown, that leaves what is in use until it is given back': kind =>
    play(kind, async scene => {
      const { handler, told, gateway } = scene
      const first = await handler(async db => {
        const connection = await db.take()
        tellShutdown()
        const session = await sessionOf(kind.sql)(connection)
        connection.release()
        return session
      }, lambdaContext())
      assert.ok(first)
      while (gateway.stats().open > 0) await turn()
      const shutDown = [signed, opened(false), closed('shutdown')]
      assertTold(told, scene, shutDown)
      assert.notEqual(await handler(sessionOf(kind.sql), lambdaContext()), first)
      while (gateway.stats().open > 0) await turn()
      assertTold(told, scene, [...shutDown, opened(true), closed('shutdown')])
    }),

  'nothing that keeps a handler from its connection, where those who listen throw or reject': async kind => {
    const { options, gateway } = await kind.gate()
    const fails = [
      () => {
        throw new Error('no space left on device')
      },
      () => Promise.reject(new Error('no space left on device')),
    ]
    for (const fail of fails) {
      const logger = { debug: fail, info: fail, warn: fail, error: fail }
      const handler = kind.createHandler({ ...options, logger, metrics: { addMetric: fail } })
      await handler(leaveTransaction, lambdaContext())
      assert.ok(await handler(sessionOf(kind.sql), lambdaContext()))
    }
    assert.equal(gateway.stats().connections, 2)
  },
}

/** Tells this package alone of the end: others that listen, and the process of the tests with them, go on. */
function tellShutdown(): void {
  const listeners = process.listeners('SIGTERM').filter(({ name }) => name === 'closeAll')
  assert.equal(listeners.length, 1, 'one listener, however many middlewares there are')
  listeners[0]?.('SIGTERM')
}

async function leaveTransaction(db: Db, before = (): void => {}): Promise<void> {
  const connection = await db.take()
  await connection.query('BEGIN')
  await connection.query("INSERT INTO note VALUES ('left')")
  before()
  connection.release()
}

const poolTales: Readonly<Record<string, (kind: Kind) => Promise<void>>> = {
  'connections that were not released': kind =>
    play(
      kind,
      async scene => {
        const { handler, told } = scene
        await handler(async db => {
          await db.take()
          await db.take()
        }, lambdaContext())
        assertTold(told, scene, [signed, opened(false), opened(true), closed('not-released', 2)], {
          'not-released': 'warn',
        })
      },
      { max: 2 },
    ),
}

for (const kind of kinds) {
  for (const [what, tell] of Object.entries({ ...tales, ...(kind.isPool ? poolTales : {}) }))
    test(`${kind.name} tells of ${what}`, () => tell(kind))
}

test('has been run with both drivers', { skip: missing === '' ? false : missing }, () => {})

test('a subscriber that throws ends nothing but a process that does not catch it', {
  skip: !hasPostgres && 'this run has no PostgreSQL',
}, async () => {
  const [kind] = kinds
  assert.ok(kind)
  const { options } = await kind.gate()
  const module = `
    import { subscribe } from 'node:diagnostics_channel'
    import middy from '@middy/core'
    import { iamPg } from './src/pg.ts'
    const uncaught = []
    process.on('uncaughtException', error => uncaught.push(error.message))
    subscribe('middy-rds-iam:connection:opened', () => { throw new Error('of the subscriber') })
    const handler = middy().use(iamPg(${JSON.stringify(options)})).handler(async (_event, { db }) => {
      const { rows } = await db.query('SELECT 1 AS one')
      await db.end()
      return rows
    })
    const rows = await handler({}, {})
    process.stdout.write(JSON.stringify({ rows, uncaught }))`
  assert.deepEqual(await runModule(module), { rows: [{ one: 1 }], uncaught: ['of the subscriber'] })
})
