// An attempt to connect that is silent is overtaken by another one, whatever it is that hangs, with real servers behind the gateway.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { RdsIamOptions } from '../../../src/pg.ts'
import type { Gate } from '../../support/database.ts'
import type { Db } from '../../support/db.ts'
import { useKinds } from '../../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { type Relay, startRelay } from '../../support/relay.ts'
import { useStandaloneKinds } from '../standalone/kinds.ts'

const { kinds: middlewares, missing } = await useKinds(true)
const { kinds: pools } = await useStandaloneKinds()

interface Kind {
  readonly name: string
  readonly gate: Gate
  readonly session: string
  /** Uses a connection, and gives it back. */
  start(options: RdsIamOptions): { use(sql: string): Promise<number>; close(): Promise<void> }
}

const numberIn = (rows: readonly Readonly<Record<string, unknown>>[]) => Number(rows[0]?.value)

const kinds: readonly Kind[] = [
  ...middlewares.map(({ name, gate, sql, createHandler }) => ({
    ...{ name, gate, session: sql.session },
    start(options: RdsIamOptions) {
      const handler = createHandler(options)
      return {
        use: (statement: string) =>
          handler(async (db: Db) => numberIn(await db.query(statement)), lambdaContext()) as Promise<number>,
        close: async () => {},
      }
    },
  })),
  ...pools.map(({ name, gate, sql, create }) => ({
    ...{ name, gate, session: sql.session },
    start(options: RdsIamOptions) {
      const pool = create(options as Parameters<typeof create>[0])
      return { use: async (statement: string) => numberIn(await pool.query(statement)), close: pool.close }
    },
  })),
]

/** What hangs, by how many packets of the client still pass. */
const hangs: Readonly<Record<string, number>> = {
  'the connection': 0,
  'the TLS handshake': 1,
  'the login': 2,
}

const budgetMs = 4_000

/** Waits for the relay to hear of what the client closed. */
async function untilClients(relay: Relay, count: number): Promise<void> {
  for (const untilMs = Date.now() + 2_000; relay.clients() !== count; await turn())
    if (Date.now() > untilMs) assert.equal(relay.clients(), count)
}

async function overtake(kind: Kind, packets: number): Promise<void> {
  const { options } = await kind.gate()
  const relay = await startRelay(options.port)
  const logger = recordingLogger()
  // One place, which the silent one must not have for good.
  const subject = kind.start({
    ...{ ...options, port: relay.port, endpoint: { host: 'localhost', port: options.port } },
    ...{ logger, max: 1, connectTimeoutMs: budgetMs },
  })
  relay.swallowNext(packets)
  const startedMs = Date.now()
  const session = await subject.use(kind.session)
  const elapsedMs = Date.now() - startedMs
  assert.ok(elapsedMs < budgetMs / 2, `${elapsedMs} ms`)
  assert.equal(relay.connections(), 2)
  await untilClients(relay, 1)
  // The place is there for the next one, and the connection too.
  assert.equal(await subject.use(kind.session), session)
  const told = logger.lines
    .map(({ fields }) => `${fields.event} ${fields.code ?? ''}`.trim())
    .filter(event => event !== 'token:signed')
  assert.deepEqual(told, ['connection:retried RDS_IAM_UNREACHABLE', 'connection:opened'])
  await subject.close()
}

for (const kind of kinds) {
  test(`${kind.name} is connected in a fraction of the time where the first attempt is silent`, async () => {
    const outcomes = await Promise.allSettled(Object.values(hangs).map(packets => overtake(kind, packets)))
    const failures = outcomes.flatMap((outcome, index) =>
      outcome.status === 'rejected' ? [`${Object.keys(hangs)[index]} hangs: ${outcome.reason}`] : [],
    )
    assert.deepEqual(failures, [])
  })

  test(`${kind.name} takes the first connection where the server is slow but alive, and closes the other`, async () => {
    const { options } = await kind.gate()
    const relay = await startRelay(options.port)
    const logger = recordingLogger()
    const subject = kind.start({
      ...{ ...options, port: relay.port, endpoint: { host: 'localhost', port: options.port } },
      ...{ logger, max: 1, connectTimeoutMs: budgetMs },
    })
    // Several round trips.
    relay.delay(280)
    assert.ok(await subject.use(kind.session))
    await untilClients(relay, 1)
    // A third one where the machine is slow too.
    assert.ok(relay.connections() >= 2)
    const events = logger.lines.map(({ fields }) => fields.event).filter(event => event !== 'token:signed')
    assert.deepEqual([...new Set(events)], ['connection:retried', 'connection:opened'])
    assert.equal(events.filter(event => event === 'connection:opened').length, 1)
    await subject.close()
  })

  test(`${kind.name} says how many attempts had no answer where all are silent`, async () => {
    const { options } = await kind.gate()
    const relay = await startRelay(options.port)
    relay.swallow()
    const subject = kind.start({
      ...{ ...options, port: relay.port, endpoint: { host: 'localhost', port: options.port } },
      ...{ max: 1, connectTimeoutMs: 1_800 },
    })
    await assert.rejects(subject.use(kind.session), {
      code: 'RDS_IAM_UNREACHABLE',
      message: /after 3 attempts in 1\.\d s, 3 of them without an answer: /,
    })
    await untilClients(relay, 0)
    relay.heal()
    assert.ok(await subject.use(kind.session))
    await subject.close()
  })
}

test('has been run with both drivers', { skip: missing === '' ? false : missing }, () => {})
