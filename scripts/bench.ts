// npm run bench: the same function four times, with this package, written by hand, as most samples have it, and
// as little as the driver allows, against a real server and the gateway; and what isolation, a lost flow and a
// wrong policy cost. Prints what each takes, and whether the project keeps to the budgets that it set itself.
// Exit 1 where any answer was wrong; a missed budget is printed only, for the machine may be busy.
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { buildBundles, buildByPlugin, buildPropertiesOf, bundleSize } from '../bench/build.ts'
import { invocationsPerRun, type Run, runFunction } from '../bench/execution-environment.ts'
import { measureImports } from '../bench/import-time.ts'
import { type Installed, installPackage } from '../bench/installed.ts'
import { canReset, measureIsolation } from '../bench/isolation.ts'
import { measureLostFlow } from '../bench/lost-flow.ts'
import { median, medianOfRounds } from '../bench/median.ts'
import { measurePoolConnections } from '../bench/pool-connections.ts'
import { type Budget, currentReport, printBudgets, printMachine, printTable } from '../bench/report.ts'
import { runStorms } from '../bench/storm-table.ts'
import { measureWarmOverhead } from '../bench/warm-overhead.ts'
import type { WarmRequest } from '../bench/warm-times.ts'
import { measureWrongPolicy } from '../bench/wrong-policy.ts'
import { readArguments, readEngine, UsageError } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { type EngineName, type Stack, startStack } from '../local/stack.ts'

const help = `npm run bench -- [--engine postgres] [--short] [--json FILE]
npm run bench -- --storm [--json FILE]

--engine  postgres, or mysql for MySQL or MariaDB, whichever is there.
--short   Few repetitions: less than a minute, and less certain.
--json    A file for the same figures, for a program to read; it is replaced.
--storm   Many execution environments that connect at once, in simulated time: ten minutes or more.
`

interface Effort {
  /** Execution environments of each function. */
  readonly runs: number
  /** Processes for each module. */
  readonly imports: number
  /** Processes that time warm invocations. */
  readonly warm: number
  readonly request: WarmRequest
  /** Rounds of warm invocations through the Runtime API, with and without isolation. */
  readonly isolation: number
  /** Execution environments of each middleware that lose the flow of their connection. */
  readonly lostFlows: number
}

const pauseMs = 3
const short: Effort = {
  runs: 5,
  imports: 12,
  warm: 1,
  request: { blocks: 20, pauses: 300, pauseMs },
  isolation: 25,
  lostFlows: 3,
}
const full: Effort = {
  runs: 40,
  imports: 25,
  warm: 5,
  request: { blocks: 40, pauses: 500, pauseMs },
  isolation: 200,
  lostFlows: 15,
}

const drivers: Readonly<Record<EngineName, string>> = { postgres: 'pg', mysql: 'mysql2' }
/** Of what a function written by hand takes. */
const coldStartLimits: Readonly<Record<EngineName, number>> = { postgres: 0.75, mysql: 0.78 }
/** In kB. mysql2 by itself, as esbuild bundles it, has 1 030: half of that is left. */
const bundleLimits: Readonly<Record<EngineName, number>> = { postgres: 130, mysql: 515 }

const names = ['this package', 'by the plugin', 'hand-written', 'common sample', 'floor', 'no database']

function functionsOf(engine: EngineName): readonly string[] {
  return [
    ...['middleware', 'by-plugin', 'hand-written', 'common-sample', 'floor'].map(name => `${engine}/${name}`),
    'no-database',
  ]
}

async function measureRuns(stack: Stack, folder: string, effort: Effort): Promise<Budget[]> {
  const files = functionsOf(stack.engine)
  // Once unmeasured, so that no function is the one that reads its files from the disk.
  for (const file of files) await runFunction(stack, folder, file)
  const runs = files.map((): Run[] => [])
  for (let round = 0; round < effort.runs; round += 1) {
    // Up and down by turns, and with a pause, so that none always comes after the hundred connections of
    // another.
    const order = [...files.entries()]
    for (const [index, file] of round % 2 === 0 ? order : order.reverse()) {
      await sleep(100)
      runs[index]?.push(await runFunction(stack, folder, file))
    }
  }
  const [own = [], byPlugin = [], handWritten = [], , floor = []] = runs
  const series = (of: readonly Run[], key: keyof Run) => of.map(run => run[key])
  const medians = (key: keyof Run) => runs.map(of => median(series(of, key)))
  printTable(`${effort.runs} execution environments, ${invocationsPerRun} invocations each`, names, {
    'cold start: process start to first row, ms': medians('coldStartMs'),
    '  of it, until the first invocation': medians('initMs'),
    '  of it, the first invocation': medians('firstInvocationMs'),
    'warm invocation through the Runtime API, ms': medians('warmInvocationMs'),
    'memory after the last one, MB': medians('memoryMB'),
    'connections opened': medians('connections'),
    'distinct tokens signed': medians('tokens'),
  })
  // What cannot be reset is closed after each invocation.
  const isKept = canReset(stack)
  const wasteful = [...own, ...byPlugin].find(
    ({ connections, tokens }) => (isKept && connections !== 1) || tokens !== 1,
  )
  if (wasteful) {
    throw new Error(
      `Expected 1 connection and 1 token for ${invocationsPerRun} invocations, got ${wasteful.connections} and ${wasteful.tokens}`,
    )
  }
  const compare = (of: readonly Run[], key: keyof Run, how: (a: number, b: number) => number) =>
    medianOfRounds(series(of, key), series(handWritten, key), how)
  const coldStartOf = (of: readonly Run[]) => compare(of, 'coldStartMs', (a, b) => a / b)
  console.log(
    `\n  the floor, driver and handshake alone, takes ${coldStartOf(floor).toFixed(2)} × of a hand-written cold start`,
  )
  return [
    {
      what: 'cold start against hand-written',
      measured: coldStartOf(own),
      limit: coldStartLimits[stack.engine],
      unit: '×',
    },
    {
      what: 'cold start against hand-written, bundled by the plugin',
      measured: coldStartOf(byPlugin),
      limit: coldStartLimits[stack.engine],
      unit: '×',
    },
    {
      what: 'memory over hand-written',
      measured: compare(own, 'memoryMB', (a, b) => a - b),
      limit: 0,
      unit: 'MB',
    },
  ]
}

function measureImportTimes(
  stack: Stack,
  installed: Installed,
  bundles: string,
  { imports }: Effort,
): Budget[] {
  const driver = drivers[stack.engine]
  const folders = { 'from node_modules': installed.project, bundled: bundles }
  const measured = Object.entries(folders).map(([where, folder]) => ({
    where,
    ...measureImports(folder, imports),
  }))
  printTable(
    'Import in a new process, processor time, ms',
    [driver, 'this package', 'and a token'],
    Object.fromEntries(
      measured.map(({ where, driver, packageBeyond, packageAndTokenBeyond }) => [
        where,
        [driver, `+ ${packageBeyond.toFixed(1)}`, `+ ${packageAndTokenBeyond.toFixed(1)}`],
      ]),
    ),
  )
  return measured.map(({ where, packageAndTokenBeyond }) => ({
    what: `import and first token beyond ${driver}, ${where}`,
    measured: packageAndTokenBeyond,
    limit: 15,
    unit: 'ms' as const,
  }))
}

async function measureSizes(stack: Stack, folder: string, { sizeMB }: Installed): Promise<Budget[]> {
  const { Charset: _, ...properties } = buildPropertiesOf(stack)
  const { External, ...others } = buildPropertiesOf(stack)
  const sizeOf = async (source: string, name: string, settings: typeof properties) =>
    bundleSize(await buildBundles('variant', [source], stack, settings), name)
  const middleware = `bench/functions/${stack.engine}/middleware.ts`
  // Lambda's runtimes bring the authorities, an image does not: the list of all Regions is left out, and one
  // of them imported.
  const inImage = (External as readonly string[]).map(name =>
    name.replace(/^middy-rds-iam\/roots$/, '$&/index'),
  )
  const ofOneRegion = await sizeOf(`bench/one-region/${stack.engine}.ts`, stack.engine, {
    ...others,
    External: inImage,
  })
  printTable('Bundle, minified, kB', names, {
    'as template.yaml has it': functionsOf(stack.engine).map(file => bundleSize(folder, file)),
    'the same with the authorities of one Region': [ofOneRegion],
    'with only @aws-sdk/* and the authorities left out': [
      await sizeOf(middleware, 'middleware', {
        ...properties,
        External: ['@aws-sdk/*', 'middy-rds-iam/roots'],
      }),
    ],
    'with only @aws-sdk/* left out': [
      await sizeOf(middleware, 'middleware', { ...properties, External: ['@aws-sdk/*'] }),
    ],
  })
  return [
    {
      what: `bundle with ${drivers[stack.engine]} and the authorities of one Region`,
      measured: ofOneRegion,
      limit: bundleLimits[stack.engine],
      unit: 'kB',
    },
    {
      what: 'the same, bundled by the plugin',
      measured: bundleSize(folder, `${stack.engine}/by-plugin`),
      limit: bundleLimits[stack.engine],
      unit: 'kB',
    },
    { what: 'installed beyond the AWS SDK and the driver', measured: sizeMB, limit: 1.5, unit: 'MB' },
  ]
}

async function run(args: readonly string[]): Promise<number> {
  const flag = { type: 'boolean' } as const
  const text = { type: 'string' } as const
  const { values } = readArguments(args, { engine: text, json: text, short: flag, storm: flag })
  const engine = readEngine(values.engine ?? 'postgres')
  const effort = values.short ? short : full
  // Before anything is measured: minutes later would be late to hear that the file cannot be written.
  const { json } = values
  if (json !== undefined) {
    try {
      writeFileSync(json, '', { flag: 'a' })
    } catch (error) {
      throw new UsageError(`--json cannot be written: ${(error as Error).message}`)
    }
  }
  printMachine()
  if (values.storm) await runStorms()
  else await measure(engine, effort)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(currentReport(), undefined, 2)}\n`)
  return 0
}

async function measure(engine: EngineName, effort: Effort): Promise<void> {
  // The package as it is published; the bundles are made of the same files.
  const installed = installPackage(engine)
  const stack = await startStack(engine)
  console.log(stack.database.server)
  const sources = [`bench/functions/${engine}`, 'bench/functions/no-database.ts']
  const folder = await buildBundles('functions', sources, stack)
  await buildByPlugin(`bench/functions/${engine}/middleware.ts`, folder, `${engine}/by-plugin`)
  const imports = await buildBundles('imports', [`bench/imports/${engine}`], stack)
  const runBudgets = await measureRuns(stack, folder, effort)
  const warmBudgets = await measureWarmOverhead(stack, folder, effort.warm, effort.request)
  const conductBudgets = [
    ...(await measureIsolation(stack, folder, effort.isolation)),
    ...(await measureLostFlow(stack, folder, effort.lostFlows)),
    ...(await measureWrongPolicy(stack, folder)),
    ...(await measurePoolConnections(stack, folder)),
  ]
  const sizeBudgets = await measureSizes(stack, folder, installed)
  await stack.database.close()
  printBudgets([
    ...runBudgets,
    ...warmBudgets,
    ...conductBudgets,
    ...measureImportTimes(stack, installed, imports, effort),
    ...sizeBudgets,
  ])
}

await runProgram('npm run bench --', { help, run })
