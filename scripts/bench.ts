// npm run bench: the same function three times, with this package, written by hand, and as most samples have it, against real
// PostgreSQL and the gateway. Prints what each takes, and whether the project keeps to the budgets that it set itself. Exit 1 where
// any answer was wrong; a missed budget is printed only, for the machine may be busy.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildBundles, bundleSize } from '../bench/build.ts'
import { invocationsPerRun, type Run, runFunction, startBundle } from '../bench/execution-environment.ts'
import type { WarmRequest, WarmResult, WarmTimes } from '../bench/functions/warm-overhead.ts'
import { measureImports } from '../bench/import-time.ts'
import { median, medianOfRounds } from '../bench/median.ts'
import { type Budget, printBudgets, printMachine, printTable } from '../bench/report.ts'
import { type Stack, startStack } from '../local/stack.ts'
import { readTemplate, root } from '../local/template.ts'

const usage = `Usage: npm run bench -- [--short]

--short  Few repetitions: less than a minute, and less certain.`

interface Effort {
  /** Execution environments of each function. */
  readonly runs: number
  /** Processes for each module. */
  readonly imports: number
  /** Processes that time warm invocations. */
  readonly warm: number
  readonly request: WarmRequest
}

const pauseMs = 3
const short: Effort = { runs: 5, imports: 7, warm: 1, request: { blocks: 20, pauses: 300, pauseMs } }
const full: Effort = { runs: 40, imports: 25, warm: 5, request: { blocks: 40, pauses: 500, pauseMs } }

const functions = {
  'this package': 'middleware',
  'hand-written': 'hand-written',
  'common sample': 'common-sample',
  'no database': 'no-database',
}
const names = Object.keys(functions)

function readEffort(): Effort {
  try {
    const { values } = parseArgs({ options: { short: { type: 'boolean' }, help: { type: 'boolean' } } })
    if (values.help) {
      console.log(usage)
      process.exit(0)
    }
    return values.short ? short : full
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`)
    process.exit(2)
  }
}

async function measureRuns(stack: Stack, folder: string, effort: Effort): Promise<Budget[]> {
  const files = Object.values(functions)
  // Once unmeasured, so that no function is the one that reads its files from the disk.
  for (const file of files) await runFunction(stack, folder, file)
  const runs = files.map((): Run[] => [])
  for (let round = 0; round < effort.runs; round += 1) {
    // Up and down by turns, and with a pause, so that none always comes after the hundred connections of another.
    const order = [...files.entries()]
    for (const [index, file] of round % 2 === 0 ? order : order.reverse()) {
      await sleep(100)
      runs[index]?.push(await runFunction(stack, folder, file))
    }
  }
  const [own = [], handWritten = []] = runs
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
  const wasteful = own.find(({ connections, tokens }) => connections !== 1 || tokens !== 1)
  if (wasteful) {
    throw new Error(
      `Expected 1 connection and 1 token for ${invocationsPerRun} invocations, got ${wasteful.connections} and ${wasteful.tokens}`,
    )
  }
  const compare = (key: keyof Run, how: (a: number, b: number) => number) =>
    medianOfRounds(series(own, key), series(handWritten, key), how)
  return [
    {
      what: 'cold start against hand-written',
      measured: compare('coldStartMs', (a, b) => a / b),
      limit: 0.75,
      unit: '×',
    },
    {
      what: 'memory over hand-written',
      measured: compare('memoryMB', (a, b) => a - b),
      limit: 3,
      unit: 'MB',
    },
  ]
}

async function measureWarmOverhead(stack: Stack, folder: string, effort: Effort): Promise<Budget[]> {
  const results: WarmResult[] = []
  for (let round = 0; round < effort.warm; round += 1) {
    const environment = await startBundle(stack, folder, 'warm-overhead')
    const { error, payload } = await environment.invoke(effort.request, { timeoutMs: 120_000 })
    if (error) throw new Error(`warm-overhead: ${error.errorMessage}\n${environment.logs()}`)
    results.push(payload as WarmResult)
    await environment.stop()
  }
  const medians = (key: keyof WarmResult) => {
    const of = (who: keyof WarmTimes) => results.map(result => result[key][who])
    const added = medianOfRounds(of('middleware'), of('handWritten'), (a, b) => a - b)
    return [median(of('middleware')), median(of('handWritten')), added] as const
  }
  const successive = medians('overheadSuccessive')
  const afterPause = medians('overheadAfterPause')
  printTable('Warm invocation inside the process, µs', ['this package', 'hand-written', 'added'], {
    'without a query, right after another': successive,
    [`without a query, after a pause of ${pauseMs} ms`]: afterPause,
    'with a query, right after another': medians('querySuccessive'),
    [`with a query, after a pause of ${pauseMs} ms`]: medians('queryAfterPause'),
  })
  const limits = { limit: 5, unit: 'µs' } as const
  return [
    { what: 'added to a warm invocation right after another', measured: successive[2], ...limits },
    { what: `added to a warm invocation after a pause of ${pauseMs} ms`, measured: afterPause[2], ...limits },
  ]
}

function measureImportTimes(bundles: string, { imports }: Effort): Budget[] {
  const folders = { 'from node_modules': join(root, 'bench', 'imports'), bundled: bundles }
  const measured = Object.entries(folders).map(([where, folder]) => ({
    where,
    ...measureImports(folder, imports),
  }))
  printTable(
    'Import in a new process, ms',
    ['pg', 'this package', 'and a token'],
    Object.fromEntries(
      measured.map(({ where, pg, packageBeyond, packageAndTokenBeyond }) => [
        where,
        [pg, `+ ${packageBeyond.toFixed(1)}`, `+ ${packageAndTokenBeyond.toFixed(1)}`],
      ]),
    ),
  )
  return measured.map(({ where, packageAndTokenBeyond }) => ({
    what: `import and first token beyond pg, ${where}`,
    measured: packageAndTokenBeyond,
    limit: 25,
    unit: 'ms' as const,
  }))
}

function measureSizes(folder: string, withRoots: string): Budget[] {
  const sizesIn = (folder: string) => Object.values(functions).map(file => bundleSize(folder, file))
  printTable('Bundle, minified, without @aws-sdk/*, kB', names, {
    'as template.yaml has it': sizesIn(folder),
    "with RDS's authorities bundled": sizesIn(withRoots).slice(0, 1),
  })
  return [{ what: 'bundle with pg', measured: bundleSize(folder, 'middleware'), limit: 130, unit: 'kB' }]
}

const effort = readEffort()
printMachine()
// The package as it is published.
execFileSync(join(root, 'node_modules', '.bin', 'tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
const external = readTemplate().Resources.NotesFunction.Metadata.BuildProperties.External as readonly string[]
const withoutRoots = external.filter(name => name !== 'middy-rds-iam/roots')
const [folder, withRoots, imports, stack] = await Promise.all([
  buildBundles('functions', 'bench/functions'),
  buildBundles('functions-with-roots', 'bench/functions', withoutRoots),
  buildBundles('imports', 'bench/imports'),
  startStack(),
])
const runBudgets = await measureRuns(stack, folder, effort)
const warmBudgets = await measureWarmOverhead(stack, folder, effort)
await stack.stop()
printBudgets([
  ...runBudgets,
  ...warmBudgets,
  ...measureImportTimes(imports, effort),
  ...measureSizes(folder, withRoots),
])
