// Times warm invocations inside the process, without the round trip to the Runtime API around each.
import { setTimeout as sleep } from 'node:timers/promises'

/** How much to measure. */
export interface WarmRequest {
  /** Blocks of 100 invocations one right after another. */
  readonly blocks: number
  /** Invocations with a pause before each. */
  readonly pauses: number
  readonly pauseMs: number
}

/** Median times of an invocation, in microseconds. */
export interface WarmTimes {
  readonly handWritten: number
  readonly middleware: number
}

export interface WarmResult {
  readonly overheadSuccessive: WarmTimes
  readonly overheadAfterPause: WarmTimes
  readonly querySuccessive: WarmTimes
  readonly queryAfterPause: WarmTimes
}

type Handler = (event: { number: number }, context: object) => Promise<unknown>
type Pair = readonly [handWritten: Handler, middleware: Handler]

/** What is timed: a handler that is written by hand, and one with the middleware. */
export interface WarmHandlers {
  /** Everything around a query, and no query. */
  readonly withoutQuery: Pair
  readonly withQuery: Pair
}

let invocations = 0

/** Invokes a handler as the runtime does, with a context of its own. @returns The time in microseconds. */
async function timeInvocation(handler: Handler): Promise<number> {
  invocations += 1
  const number = invocations
  const deadlineMs = Date.now() + 3000
  const context = {
    awsRequestId: `request-${number}`,
    invokedFunctionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:warm-overhead',
    getRemainingTimeInMillis: () => deadlineMs - Date.now(),
  }
  const startedMs = performance.now()
  const answer = (await handler({ number }, context)) as { double: number }
  const durationMs = performance.now() - startedMs
  if (answer.double !== number * 2) throw new Error(`Expected ${number * 2}, got ${JSON.stringify(answer)}`)
  return durationMs * 1000
}

/**
 * Takes both by turns, each as often after itself as after the other, which leaves it warmer or colder caches.
 */
async function measure(
  pair: Pair,
  rounds: number,
  takeTimes: (handler: Handler) => Promise<number[]>,
): Promise<WarmTimes> {
  const times: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round += 1) {
    for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const))
      times[index].push(...(await takeTimes(pair[index])))
  }
  const [handWritten, middleware] = times.map(values => values.sort((a, b) => a - b)[values.length >> 1])
  return { handWritten: handWritten as number, middleware: middleware as number }
}

/** Times warm invocations, after so many unmeasured ones that the code is compiled as it will stay. */
export async function timeWarmInvocations(
  { withoutQuery, withQuery }: WarmHandlers,
  { blocks, pauses, pauseMs }: WarmRequest,
): Promise<WarmResult> {
  for (const handler of [...withoutQuery, ...withQuery])
    for (let count = 0; count < 1000; count += 1) await timeInvocation(handler)

  const takeBlock = async (handler: Handler) => {
    // The handler before it took time: this one comes after a pause.
    await timeInvocation(handler)
    const times: number[] = []
    for (let count = 0; count < 100; count += 1) times.push(await timeInvocation(handler))
    return times
  }
  const takeAfterPause = async (handler: Handler) => {
    await sleep(pauseMs)
    return [await timeInvocation(handler)]
  }
  return {
    overheadSuccessive: await measure(withoutQuery, blocks, takeBlock),
    overheadAfterPause: await measure(withoutQuery, pauses, takeAfterPause),
    querySuccessive: await measure(withQuery, blocks, takeBlock),
    queryAfterPause: await measure(withQuery, pauses, takeAfterPause),
  }
}
