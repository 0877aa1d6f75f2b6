// What the first invocation takes after the flow of the connection was dropped, and nobody was told.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Stack } from '../local/stack.ts'
import { openRelay } from '../test/support/relay.ts'
import { type Kind, middlewareKinds, selectOne, startConfigured } from './configured-function.ts'
import { keptOptions } from './isolation.ts'
import { median, medianOfRounds } from './median.ts'
import { type Budget, printTable } from './report.ts'

/** Of one environment, in milliseconds. */
interface Times {
  /** The first invocation, which connects. */
  readonly coldMs: number
  /** One that finds its connection closed, and connects again with the same token. */
  readonly closedMs: number
  /** One that finds its connection silent. */
  readonly lostMs: number
}

/** A fraction of the default, so that nothing waits for ten seconds. */
const pingAfterIdleMs = 20

/** @param rounds How many environments of each middleware. */
export async function measureLostFlow(stack: Stack, folder: string, rounds: number): Promise<Budget[]> {
  const taken = middlewareKinds.map((): Times[] => [])
  for (let round = 0; round < rounds; round += 1)
    for (const [index, kind] of middlewareKinds.entries())
      taken[index]?.push(await measureOne(stack, folder, kind))

  const series = (of: readonly Times[], key: keyof Times) => of.map(times => times[key])
  const medians = (key: keyof Times) => taken.map(of => median(series(of, key)))
  printTable('First invocation without a connection, ms', middlewareKinds, {
    'a cold connect': medians('coldMs'),
    'after the connection was closed': medians('closedMs'),
    'after its flow was silently dropped': medians('lostMs'),
  })
  return middlewareKinds.map((kind, index) => {
    const of = taken[index] ?? []
    return {
      what: `after a silently dropped flow, of a cold connect, ${kind}`,
      measured: medianOfRounds(series(of, 'lostMs'), series(of, 'coldMs'), (a, b) => a / b),
      limit: 1.3,
      unit: '×',
    }
  })
}

async function measureOne(stack: Stack, folder: string, kind: Kind): Promise<Times> {
  const { port } = stack.database
  const relay = await openRelay(port)
  const through = { host: 'localhost', port: relay.port, endpoint: { host: 'localhost', port } }
  const options = { ...keptOptions(stack), ...through, pingAfterIdleMs, prefetch: false }
  const environment = await startConfigured(stack, folder, { kind, options })
  const connect = async () => {
    const before = relay.connections()
    const { durationMs } = await environment.run(selectOne)
    if (relay.connections() > before) return durationMs
    throw new Error(`${kind}: answered by a connection that was not there any more`)
  }
  /** Until what follows an answer is over, and the silence is longer than the option says. */
  const rest = async () => {
    await environment.run(selectOne)
    await sleep(3 * pingAfterIdleMs)
  }
  const coldMs = await connect()
  await rest()
  await relay.cut()
  const closedMs = await connect()
  await rest()
  relay.swallow()
  relay.heal()
  const lostMs = await connect()
  await environment.stop()
  relay.close()
  return { coldMs, closedMs, lostMs }
}
