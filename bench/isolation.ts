// What isolation costs: warm invocations through the Runtime API, against a connection that nobody resets.
import { setTimeout as sleep } from 'node:timers/promises'
import type { EngineName, Stack } from '../local/stack.ts'
import {
  type Configuration,
  type ConfiguredFunction,
  selectOne,
  startConfigured,
} from './configured-function.ts'
import { median } from './median.ts'
import { type Budget, printTable } from './report.ts'

/** The default options: each invocation finds a session as it was opened. */
export const isolated = {}
/** The session stays as an invocation leaves it. */
export const notIsolated = { resetSession: false }

/** MySQL cannot put a session back before 5.7.3: isolation there means to connect again. */
export function canReset({ database }: Stack): boolean {
  return !/^MySQL 5\.[0-6]\./.test(database.server)
}

/** The default options, where a connection is kept with them. */
export function keptOptions(stack: Stack): object {
  return canReset(stack) ? isolated : notIsolated
}

const functions: Readonly<Record<string, Configuration>> = {
  bare: { kind: 'bare' },
  isolated: { kind: 'client', options: isolated },
  'not isolated': { kind: 'client', options: notIsolated },
}

/** How invocations follow each other. The functions take turns, so that a slow spell falls on all of them. */
interface Pace {
  readonly name: string
  /** Before each turn. Where it is 0, an invocation that is not measured begins the turn. */
  readonly pauseMs: number
  /** Measured invocations of a turn. */
  readonly length: number
  /** Turns of each function, as a multiple of the rounds. */
  readonly times: number
  /** Of the isolated p50, as a multiple of the bare one. */
  readonly limit: number
}

const paces: readonly Pace[] = [
  { name: 'back to back', pauseMs: 0, length: 10, times: 1, limit: 1.15 },
  // Three pauses and the turns of the two others make it ten for each.
  { name: '10 ms between', pauseMs: 2, length: 1, times: 5, limit: 1.05 },
]

/** A setting that one invocation makes, and how the next one looks for it. */
const settings: Readonly<Record<EngineName, { readonly leave: string; readonly look: string }>> = {
  postgres: {
    leave: "SET application_name = 'left'",
    look: "SELECT current_setting('application_name') AS seen",
  },
  mysql: { leave: "SET @seen = 'left'", look: 'SELECT @seen AS seen' },
}

/** @param rounds How many rounds the functions take turns. */
export async function measureIsolation(stack: Stack, folder: string, rounds: number): Promise<Budget[]> {
  if (!canReset(stack)) {
    console.log(`\n${stack.database.server} cannot reset a session: isolation is not measured`)
    return []
  }
  const started: ConfiguredFunction[] = []
  for (const configuration of Object.values(functions))
    started.push(await startConfigured(stack, folder, configuration))
  // Until the code is compiled as it will stay.
  for (const each of started) for (let count = 0; count < 300; count += 1) await takeTime(each)

  const rows: Record<string, readonly (number | string)[]> = {}
  const budgets: Budget[] = []
  for (const pace of paces) {
    const p50s = (await takeTurns(started, pace, rounds)).map(median)
    const ratios = p50s.map(p50 => p50 / (p50s[0] ?? Number.NaN))
    rows[`${pace.name}, p50, ms`] = p50s
    rows[`${pace.name}, of bare`] = ratios
    const what = `warm invocation with isolation, of bare, ${pace.name}`
    budgets.push({ what, measured: ratios[1] ?? Number.NaN, limit: pace.limit, unit: '×' })
  }
  const seen: number[] = []
  for (const each of started) seen.push(await countSeen(each, stack.engine))
  for (const each of started) await each.stop()
  rows['settings of an earlier invocation seen'] = seen
  printTable('Warm, SELECT 1, through the Runtime API', Object.keys(functions), rows)
  const what = 'settings of an earlier invocation seen with isolation'
  return [...budgets, { what, measured: seen[1] ?? Number.NaN, limit: 0, unit: 'of them' }]
}

/** @returns The times of each function, in milliseconds. */
async function takeTurns(
  started: readonly ConfiguredFunction[],
  { pauseMs, length, times }: Pace,
  rounds: number,
): Promise<number[][]> {
  const taken = started.map((): number[] => [])
  const order = [...started.entries()]
  for (let round = 0; round < rounds * times; round += 1) {
    // So that none always comes after the same one, which may still be at its reset.
    if (round % 10 === 0) order.reverse()
    for (const [index, measured] of order) {
      if (pauseMs > 0) await sleep(pauseMs)
      else await takeTime(measured)
      for (let count = 0; count < length; count += 1) taken[index]?.push(await takeTime(measured))
    }
  }
  return taken
}

async function takeTime(measured: ConfiguredFunction): Promise<number> {
  const { row, durationMs } = await measured.run(selectOne)
  if (Number(row.one) !== 1) throw new Error(`Expected 1, got ${JSON.stringify(row)}`)
  return durationMs
}

async function countSeen(measured: ConfiguredFunction, engine: EngineName): Promise<number> {
  const { leave, look } = settings[engine]
  await measured.run({ sql: [leave, ...selectOne.sql] })
  const { row } = await measured.run({ sql: [look] })
  return row.seen === 'left' ? 1 : 0
}
