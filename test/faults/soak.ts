// Thousands of invocations with faults at random in between: `npm run soak`, or `npm run soak -- --short --seed 7 --only createPgPool`.
// Fails where an invocation fails that had a reachable database, or where a function's process grows.
import { readArguments } from '../../kit/src/cli/arguments.ts'
import { findMysqlKinds } from '../support/database.ts'
import { type Bench, createBench, type Subject } from './bench.ts'
import { kindsOf, mysqlEngine, postgresEngine } from './engines.ts'
import type { Measurement } from './functions/event.ts'
import { createRandom, findGrowth, type Random } from './growth.ts'
import { assertNothingSecretSeen } from './seen.ts'
import { startSite } from './site.ts'

const { values } = readArguments(process.argv.slice(2), {
  short: { type: 'boolean', default: false },
  seed: { type: 'string' },
  invocations: { type: 'string' },
  only: { type: 'string' },
})
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
/** For each middleware, of which there are two of each driver, and for each driver's pool without middy. */
const invocations = Number(values.invocations ?? (values.short ? 500 : 5000))
const samples = 40

const insert = "INSERT INTO note VALUES ('left')"
const minutes = 60_000

/** Something that goes wrong before an invocation, and how often it does among all that goes wrong. */
interface Mishap {
  readonly weight: number
  readonly poolOnly?: true
  /** Whether it means nothing to a pool without middy; the rows of the table say why. */
  readonly notStandalone?: true
  /** Resolves to how many invocations it took. */
  run(subject: Subject, bench: Bench, clock: { aheadMs: number }): Promise<number>
}

const none = (hit: (subject: Subject, bench: Bench) => unknown) => async (subject: Subject, bench: Bench) => {
  await hit(subject, bench)
  return 0
}
const one = (hit: (subject: Subject) => Promise<unknown>) => async (subject: Subject) => {
  await hit(subject)
  return 1
}
const frozen = (hit: (subject: Subject) => Promise<unknown>) =>
  none(async subject => {
    subject.freeze()
    await hit(subject)
    subject.thaw()
  })

const mishaps: Readonly<Record<string, Mishap>> = {
  'connection closed': { weight: 10, run: none(({ relay }) => relay.cut()) },
  'connection reset': { weight: 10, run: none(({ relay }) => relay.reset()) },
  'connection closed while frozen': { weight: 10, run: frozen(({ relay }) => relay.cut()) },
  'connection reset while frozen': { weight: 10, run: frozen(({ relay }) => relay.reset()) },
  'session ended by the server': {
    weight: 10,
    run: none(async ({ relay }, { engine, site }) => {
      await engine.endSessions(site.servers.first)
      await relay.whenEnded()
    }),
  },
  'flow dropped, token expired': {
    weight: 1,
    async run(subject, { site }, clock) {
      clock.aheadMs += 20 * minutes
      subject.relay.swallow()
      subject.relay.heal()
      site.moveClock(clock.aheadMs)
      return 0
    },
  },
  'token expired': {
    weight: 5,
    async run(subject, { site }, clock) {
      clock.aheadMs += 20 * minutes
      site.moveClock(clock.aheadMs)
      await subject.relay.cut()
      return 0
    },
  },
  'thrown in a transaction': {
    weight: 10,
    run: one(({ fail }) => fail({ sql: ['BEGIN', insert], ending: 'throws' }, /the handler failed/)),
  },
  'transaction left open': { weight: 10, run: one(({ invoke }) => invoke({ sql: ['BEGIN', insert] })) },
  'query left running': { weight: 5, run: one(({ invoke }) => invoke({ ending: 'leaves a query running' })) },
  'query timed out': {
    weight: 3,
    run: one(({ fail }) => fail({ ending: 'runs out of time with a query' }, /timeout/)),
  },
  'connection not released': {
    weight: 5,
    poolOnly: true,
    notStandalone: true,
    run: one(({ invoke }) => invoke({ sql: ['BEGIN', insert], ending: 'keeps the connection' })),
  },
  'ended by the handler': {
    weight: 5,
    notStandalone: true,
    run: one(({ invoke }) => invoke({ ending: 'ends it' })),
  },
  'destroyed by the handler': { weight: 5, run: one(({ invoke }) => invoke({ ending: 'destroys it' })) },
  'cut off': {
    weight: 1,
    notStandalone: true,
    run: one(({ fail }) => fail({ ending: 'hangs' }, /TimeoutError/, 500)),
  },
  suspended: {
    weight: 3,
    notStandalone: true,
    run: one(({ invoke }) => invoke({ call: 'suspended', sql: ['BEGIN', insert] }, 600)),
  },
  streamed: { weight: 5, run: one(({ ask }) => ask({ call: 'streaming' })) },
  'answered early': {
    weight: 5,
    notStandalone: true,
    run: one(({ invoke }) => invoke({ early: 'answers' })),
  },
  'answered early behind': {
    weight: 5,
    notStandalone: true,
    run: one(({ invoke }) => invoke({ late: 'answers' })),
  },
  'failed behind': {
    weight: 5,
    notStandalone: true,
    run: one(({ fail }) => fail({ late: 'throws' }, /a later middleware/)),
  },
  'error answered': {
    weight: 5,
    notStandalone: true,
    run: one(({ invoke }) => invoke({ sql: ['BEGIN', insert], ending: 'throws', late: 'answers the error' })),
  },
}

function pick(
  random: Random,
  { isPool, isStandalone }: Pick<Bench, 'isPool' | 'isStandalone'>,
): readonly [string, Mishap] {
  const possible = Object.entries(mishaps).filter(
    ([, { poolOnly, notStandalone }]) => (isPool || !poolOnly) && !(isStandalone && notStandalone),
  )
  const total = possible.reduce((sum, [, { weight }]) => sum + weight, 0)
  let left = random() * total
  for (const entry of possible) {
    left -= entry[1].weight
    if (left < 0) return entry
  }
  throw new Error('the weights are wrong')
}

/** @returns What went wrong that should not have. */
async function soak(bench: Bench, random: Random): Promise<string[]> {
  const name = `${bench.kind} on ${bench.site.servers.first.name}`
  const problems: string[] = []
  const counts: Record<string, number> = {}
  const measured: Measurement[] = []
  const clock = { aheadMs: 0 }
  const subject = await bench.start({
    options: { max: 2, connectTimeoutMs: 2000 },
    environment: { NODE_OPTIONS: '--expose-gc' },
  })
  for (let count = 0; count < invocations; ) {
    const [what, mishap] = random() < 0.25 ? pick(random, bench) : ['nothing', undefined]
    counts[what] = (counts[what] ?? 0) + 1
    try {
      count += 1 + ((await mishap?.run(subject, bench, clock)) ?? 0)
      await subject.ask({ aheadMs: clock.aheadMs })
    } catch (error) {
      problems.push(`${name}, invocation ${count}, after "${what}": ${(error as Error).message}`)
      if (problems.length > 20) break
    }
    if (count >= (measured.length + 1) * (invocations / samples)) {
      const { payload } = await subject.invoke({ ending: 'measures' })
      measured.push(payload as Measurement)
    }
  }
  problems.push(...findGrowth(measured).map(problem => `${name}: ${problem}`))
  await bench.finish()
  const opened = bench.site.decisions.length
  console.log(`${name}: ${invocations} invocations, ${opened} connections, ${problems.length} problems`)
  console.log(
    `  ${Object.entries(counts)
      .map(([what, count]) => `${count} × ${what}`)
      .join(', ')}`,
  )
  const series = (read: (one: Measurement) => number) =>
    measured
      .filter((_, index) => index % (samples / 8) === 0)
      .map(one => read(one).toFixed(1))
      .join(' ')
  console.log(`  heap ${series(({ heapMB }) => heapMB)} MB`)
  console.log(`  external ${series(({ externalMB }) => externalMB)} MB`)
  console.log(`  RSS ${series(({ rssMB }) => rssMB)} MB`)
  const { resources = {}, listeners } = measured.at(-1) ?? {}
  console.log(`  in the end ${listeners} listeners, ${JSON.stringify(resources)}`)
  await bench.site.reset()
  return problems
}

console.log(`seed ${seed}`)
const { kinds, missing } = findMysqlKinds()
if (kinds.length === 0) console.log(`without MySQL: ${missing}`)
const problems = await Promise.all(
  [postgresEngine, ...kinds.slice(-1).map(mysqlEngine)].map(async engine => {
    const kinds = kindsOf(engine).filter(kind => values.only === undefined || values.only === kind)
    if (kinds.length === 0) return []
    const site = await startSite(engine)
    try {
      const found: string[] = []
      for (const [index, kind] of kinds.entries())
        found.push(...(await soak(createBench(site, kind), createRandom(seed + index))))
      return found
    } finally {
      await site.stop()
    }
  }),
)
assertNothingSecretSeen()
for (const problem of problems.flat()) console.error(problem)
process.exitCode = problems.flat().length === 0 ? 0 : 1
