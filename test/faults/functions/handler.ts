import middy, { type MiddlewareObj } from '@middy/core'
import { executionModeStreamifyResponse } from '@middy/core/StreamifyResponse'
import type { Context } from 'aws-lambda'
import type { Event } from './event.ts'
import {
  callStreaming,
  createEntry,
  type FaultyDb,
  type Handler,
  provideStreaming,
  readOptions,
  runEvent,
  type StreamingHandler,
} from './run.ts'

type Factory = (options: object) => object

/** A handler that does what its event says, with the middleware that `MIDDLEWARE` names; with two of it where there are other options. */
export function createHandler<Raw>(
  factories: Readonly<Record<string, Factory>>,
  wrap: (raw: Raw) => FaultyDb,
): Handler {
  const factory = factories[process.env.MIDDLEWARE ?? ''] as Factory

  const middlewares = [
    { before: ({ event }: { event: Event }) => event.early && 'an early answer' },
    ...readOptions().map(options => factory(options)),
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
    const answer = await runEvent(event, wrap(db), suspend)
    return other === undefined ? answer : [answer, await runEvent(event, wrap(other), suspend)]
  }

  const inTime = { timeoutEarlyInMillis: 150 }
  const ordinary = middy<Event>(inTime).use(middlewares).handler(run) as Handler
  provideStreaming()
  const streaming = middy({ ...inTime, executionMode: executionModeStreamifyResponse })
    .use(middlewares)
    .handler(async (event, context) =>
      JSON.stringify(await run(event as Event, context)),
    ) as unknown as StreamingHandler

  const calls: Partial<Record<NonNullable<Event['call']>, Handler>> = {
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
    streaming: callStreaming(streaming),
  }

  return createEntry(({ call }) => {
    const called = call === undefined ? ordinary : calls[call]
    if (called === undefined) throw new Error(`with middy, no function is ${call}`)
    return called
  })
}

let suspend = (): void => {}

/** Lambda's context as middy passes it on in a durable function: inside another, some of its names copied out of it. */
function durably(lambdaContext: Context): Context {
  const { getRemainingTimeInMillis: _, ...names } = lambdaContext
  return { ...names, lambdaContext, executionContext: {} } as unknown as Context
}
