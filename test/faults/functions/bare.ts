import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
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

/** A handler without middy that does what its event says, with a pool of its module; with two of them where there are other options. */
export function createBareHandler<Pool>(
  createPool: (options: object) => Pool,
  wrap: (pool: Pool) => FaultyDb,
): Handler {
  const pools = readOptions().map(options => wrap(createPool(options)))

  const ordinary: Handler = async event => {
    const answers: unknown[] = []
    for (const pool of pools) answers.push(await runOnPool(event, pool))
    return answers.length === 1 ? answers[0] : answers
  }
  provideStreaming()
  const { awslambda } = globalThis as unknown as {
    awslambda: { streamifyResponse(handler: StreamingHandler): StreamingHandler }
  }
  const streaming = awslambda.streamifyResponse(async (event: Event, stream: Writable, context: Context) => {
    stream.end(JSON.stringify(await ordinary(event, context)))
    await finished(stream)
  })
  const calls: Partial<Record<NonNullable<Event['call']>, Handler>> = {
    streaming: callStreaming(streaming),
    abandoned: (event, context) => Promise.race([ordinary(event, context), giveUp(context)]),
  }

  return createEntry(({ call, early, late }) => {
    if (early !== undefined || late !== undefined) throw new Error('there is no other middleware')
    const called = call === undefined ? ordinary : calls[call]
    if (called === undefined) throw new Error(`without middy, no function is ${call}`)
    return called
  })
}

/** As handlers are written: one statement by the pool itself, several by one of its connections. */
function runOnPool(event: Event, pool: FaultyDb): Promise<unknown> {
  const [statement, ...others] = event.sql ?? []
  const isOne =
    statement !== undefined && others.length === 0 && event.ending === undefined && event.leaves === undefined
  return isOne ? pool.query(statement) : runEvent(event, pool)
}

async function giveUp(context: Context): Promise<never> {
  await sleep(context.getRemainingTimeInMillis() - 150)
  throw new Error('the handler gave up on its work')
}
