// What every function under fault does, with middy and without.
import { subscribe } from 'node:diagnostics_channel'
import { EventEmitter } from 'node:events'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { Context } from 'aws-lambda'
import type { RdsIamEvent } from '../../../src/index.ts'
import type { Db } from '../../support/db.ts'
import type { Event, Measurement } from './event.ts'
import { moveClock, timeAheadMs } from './process.ts'

export type Handler = (event: Event, context: Context) => Promise<unknown>

export type StreamingHandler = (event: Event, stream: Writable, context: Context) => Promise<void>

/** What a handler does with a connection, well or badly. */
export interface FaultyDb extends Db {
  readonly sleepQuery: string
  destroy(): Promise<void>
  /** Runs a query that the driver gives up on. */
  runOutOfTime(): Promise<unknown>
  /** Begins something on a connection that was taken, and leaves it. */
  leave(what: string, connection: object): Promise<unknown>
}

const eventNames: Readonly<Record<RdsIamEvent['event'], true>> = {
  'connection:opened': true,
  'connection:checked': true,
  'connection:closed': true,
  'connection:retried': true,
  'connection:failed': true,
  'connection:read-only': true,
  'transaction:rolled-back': true,
  'session:not-reset': true,
  'query:refused': true,
  'token:signed': true,
  'trust:incomplete': true,
  'region:assumed': true,
  'region:moved': true,
}
// Into the log, which is searched for secrets, with all that the messages hide.
for (const name of Object.keys(eventNames)) {
  subscribe(`middy-rds-iam:${name}`, message =>
    console.log('published', inspect(message, { depth: 12, showHidden: true })),
  )
}

let failingSignings = 0

async function credentials() {
  if (failingSignings-- > 0) throw new Error('the credentials are not to be had')
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    sessionToken: AWS_SESSION_TOKEN,
  }
}

/** The options of each connection that the handler has: those that `OPTIONS` holds, as JSON, and those of `OTHER_OPTIONS` where it is set. */
export function readOptions(): readonly object[] {
  const { OPTIONS = '{}', OTHER_OPTIONS, FAULTY_CREDENTIALS } = process.env
  return [OPTIONS, OTHER_OPTIONS]
    .filter(options => options !== undefined)
    .map(options => ({
      logger: console,
      ...JSON.parse(options),
      ...(FAULTY_CREDENTIALS && { credentials }),
    }))
}

/** A handler that first does to its process what the event says, and then calls another one, once or several times. */
export function createEntry(choose: (event: Event) => Handler): Handler {
  return (event, context) => {
    if (event.aheadMs !== undefined) moveClock(event.aheadMs)
    failingSignings = event.failingSignings ?? failingSignings
    Object.assign(process.env, event.environment)
    const call = choose(event)
    const invoke = (copy: number) => call(event, contextOf(context, copy))
    if (event.copies === undefined) return invoke(0)
    // Some begin while others are in the middle.
    const begin = (copy: number) => sleep(copy).then(() => invoke(copy))
    return Promise.all(Array.from({ length: event.copies }, (_, copy) => begin(copy)))
  }
}

/** Has Lambda's global stand where streaming handlers are made by it. */
export function provideStreaming(): void {
  ;(globalThis as { awslambda?: object }).awslambda = { streamifyResponse: (handler: object) => handler }
}

/** Calls a streaming handler, and gives back what it streamed. */
export function callStreaming(streaming: StreamingHandler): Handler {
  return async (event, context) => {
    const chunks: string[] = []
    const stream = new Writable({
      write: (chunk, _encoding, done) => void done(void chunks.push(String(chunk))),
    })
    await streaming(event, stream, context)
    return JSON.parse(chunks.join(''))
  }
}

/** @param suspend Called where the function is to be suspended for good. */
export async function runEvent(
  { sql = [], leaves, ending, call }: Event,
  db: FaultyDb,
  suspend: () => void = () => {},
): Promise<unknown> {
  if (ending === 'shows what it holds') return inspect(db.raw, { depth: 12, showHidden: true })
  if (ending === 'measures') return measure(db.raw)
  const connection = await db.take()
  let rows: unknown = []
  try {
    for (const statement of sql) rows = await connection.query(statement)
    if (leaves !== undefined) await db.leave(leaves, connection.raw)
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
