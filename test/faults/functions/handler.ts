import { subscribe } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import middy, { type MiddlewareObj } from '@middy/core'
import { executionModeStreamifyResponse } from '@middy/core/StreamifyResponse'
import type { Context } from 'aws-lambda'
import type { RdsIamEvent } from '../../../src/index.ts'
import type { Db } from '../../support/db.ts'
import type { Event, Measurement } from './event.ts'
import { moveClock, timeAheadMs } from './process.ts'

/** What a handler does with a connection, well or badly. */
export interface FaultyDb extends Db {
  readonly sleepQuery: string
  destroy(): Promise<void>
  /** Runs a query that the driver gives up on. */
  runOutOfTime(): Promise<unknown>
}

const eventNames: Readonly<Record<RdsIamEvent['event'], true>> = {
  'connection:opened': true,
  'connection:checked': true,
  'connection:closed': true,
  'connection:retried': true,
  'connection:failed': true,
  'transaction:rolled-back': true,
  'token:signed': true,
}
// Into the log, which is searched for secrets, with all that the messages hide.
for (const name of Object.keys(eventNames)) {
  subscribe(`middy-rds-iam:${name}`, message =>
    console.log('published', inspect(message, { depth: 12, showHidden: true })),
  )
}

type Factory = (options: object) => object
type Handler = (event: Event, context: Context) => Promise<unknown>

/**
 * A handler that does what its event says, with the middleware that `MIDDLEWARE` names and the options that `OPTIONS` holds, as JSON;
 * where `OTHER_OPTIONS` is set, with a second one too.
 */
export function createHandler<Raw>(
  factories: Readonly<Record<string, Factory>>,
  wrap: (raw: Raw) => FaultyDb,
): Handler {
  const { MIDDLEWARE = '', OPTIONS = '{}', OTHER_OPTIONS, FAULTY_CREDENTIALS } = process.env
  let failingSignings = 0
  const credentials = async () => {
    if (failingSignings-- > 0) throw new Error('the credentials are not to be had')
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env
    return {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: AWS_SECRET_ACCESS_KEY,
      sessionToken: AWS_SESSION_TOKEN,
    }
  }
  const create = (options: string) =>
    factories[MIDDLEWARE]?.({
      logger: console,
      ...JSON.parse(options),
      ...(FAULTY_CREDENTIALS && { credentials }),
    }) as MiddlewareObj

  const middlewares = [
    { before: ({ event }: { event: Event }) => event.early && 'an early answer' },
    create(OPTIONS),
    ...(OTHER_OPTIONS === undefined ? [] : [create(OTHER_OPTIONS)]),
    {
      before({ event }: { event: Event }) {
        if (event.late === 'throws') throw new Error('a later middleware failed')
        return event.late === 'answers' ? 'a late answer' : undefined
      },
      // The last one's runs first, and what it returns keeps the others from theirs.
      onError: ({ event }: { event: Event }) =>
        event.late === 'answers the error' ? 'an answer to the error' : undefined,
    },
  ] as MiddlewareObj[]
  const run = async (event: Event, context: object) => {
    const { db, other } = context as { db: Raw; other?: Raw }
    const answer = await runEvent(event, wrap(db))
    return other === undefined ? answer : [answer, await runEvent(event, wrap(other))]
  }

  const inTime = { timeoutEarlyInMillis: 150 }
  const ordinary = middy<Event>(inTime).use(middlewares).handler(run) as Handler
  ;(globalThis as { awslambda?: object }).awslambda = { streamifyResponse: (handler: object) => handler }
  const streaming = middy({ ...inTime, executionMode: executionModeStreamifyResponse })
    .use(middlewares)
    .handler(async (event, context) => JSON.stringify(await run(event as Event, context))) as unknown as (
    event: Event,
    stream: Writable,
    context: Context,
  ) => Promise<void>

  const calls: Record<NonNullable<Event['call']>, Handler> = {
    durable: (event, context) => ordinary(event, durably(context)),
    // A durable function that waits is never answered: its promise is left behind, and the invocation ends.
    suspended: async (event, context) => {
      let reached = (_: string) => {}
      const suspended = new Promise<string>(resolve => {
        reached = resolve
      })
      suspend = () => reached('suspended')
      return Promise.race([ordinary(event, durably(context)), suspended])
    },
    streaming: async (event, context) => {
      const chunks: string[] = []
      const stream = new Writable({
        write: (chunk, _encoding, done) => void done(void chunks.push(String(chunk))),
      })
      await streaming(event, stream, context)
      return JSON.parse(chunks.join(''))
    },
  }

  return (event, context) => {
    if (event.aheadMs !== undefined) moveClock(event.aheadMs)
    failingSignings = event.failingSignings ?? failingSignings
    Object.assign(process.env, event.environment)
    const call = event.call === undefined ? ordinary : calls[event.call]
    const invoke = (copy: number) => call(event, contextOf(context, copy))
    if (event.copies === undefined) return invoke(0)
    // Some begin while others are in the middle.
    const begin = (copy: number) => sleep(copy).then(() => invoke(copy))
    return Promise.all(Array.from({ length: event.copies }, (_, copy) => begin(copy)))
  }
}

let suspend = (): void => {}

async function runEvent({ sql = [], ending, call }: Event, db: FaultyDb): Promise<unknown> {
  if (ending === 'shows what it holds') return inspect(db.raw, { depth: 12, showHidden: true })
  if (ending === 'measures') return measure(db.raw)
  const connection = await db.take()
  let rows: unknown = []
  try {
    for (const statement of sql) rows = await connection.query(statement)
    if (ending === 'throws') throw new Error('the handler failed')
    if (call === 'suspended') {
      suspend()
      await new Promise(() => {})
    }
    if (ending === 'hangs') await connection.query(db.sleepQuery)
    if (ending === 'leaves a query running') connection.query(db.sleepQuery).catch(() => {})
  } finally {
    if (ending !== 'keeps the connection') connection.release()
  }
  if (ending === 'ends it') await db.end()
  if (ending === 'destroys it') await db.destroy()
  if (ending === 'runs out of time with a query') await db.runOutOfTime()
  return rows
}

function measure(raw: object): Measurement {
  const { gc } = globalThis as { gc?: () => void }
  gc?.()
  const { heapUsed, rss, external } = process.memoryUsage()
  const resources: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const listeners = [process, raw]
    .filter(thing => thing instanceof EventEmitter)
    .flatMap(emitter => emitter.eventNames().map(name => emitter.listenerCount(name)))
    .reduce((sum, count) => sum + count, 0)
  return {
    heapMB: heapUsed / 2 ** 20,
    rssMB: rss / 2 ** 20,
    externalMB: external / 2 ** 20,
    resources,
    listeners,
  }
}

/** A context for each of several invocations at once, by the clock of this process. */
function contextOf(context: Context, copy: number): Context {
  return {
    ...context,
    awsRequestId: `${context.awsRequestId}-${copy}`,
    getRemainingTimeInMillis: () => context.getRemainingTimeInMillis() + timeAheadMs(),
  }
}

/** Lambda's context as middy passes it on in a durable function: inside another, some of its names copied out of it. */
function durably(lambdaContext: Context): Context {
  const { getRemainingTimeInMillis: _, ...names } = lambdaContext
  return { ...names, lambdaContext, executionContext: {} } as unknown as Context
}
