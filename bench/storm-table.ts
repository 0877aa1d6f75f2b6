import { type Budget, printBudgets, printTable } from './report.ts'
import { type Storm, type StormResult, type Strategy, simulateStorm } from './storm.ts'

const sizes = [1_000, 10_000, 100_000]
const limits = [10, 200, 256]
const strategies: readonly Strategy[] = ['full jitter', 'exponential', 'immediate']

/** What one storm may take of the patience of whoever runs this: about half a minute. */
const maxAttempts = 500_000

/** What the mean pause, and the attempt after it, take once the pauses have grown, in seconds. */
const secondsPerAttempt: Readonly<Record<Strategy, number>> = {
  'full jitter': 0.54,
  exponential: 1.04,
  immediate: 0.04,
}

const columns = ['all connected, s', 'ideal, s', 'over ideal', 'attempts each', 'worst wait, s', 'failed']

/** Prints every storm, and says whether the budget is kept. */
export async function runStorms(): Promise<void> {
  // Every failed attempt makes an error, and nobody reads where.
  Error.stackTraceLimit = 0
  console.log(
    'Environments that start at once, each invoked again at once where its invocation fails. The server takes one connection every\n' +
      "1/n of a second; what is turned away does not count. 'worst wait' is one invocation's; an attempt takes 30 to 50 ms.",
  )
  const budgets: Budget[] = []
  for (const answer of ['throttled', 'refused'] as const) {
    const rows: Record<string, readonly (number | string)[]> = {}
    const notes: string[] = []
    for (const environments of sizes) {
      for (const perSecond of limits) {
        for (const strategy of strategies) {
          const storm: Storm = {
            environments,
            perSecond,
            answer,
            limit: 'even',
            strategy,
            seed: 1,
            maxAttempts,
          }
          const name = `${environments} at ${perSecond} a second, ${strategy}`
          const result = await measure(storm, name, notes)
          if (result === undefined) continue
          rows[name] = cellsOf(storm, result)
          if (environments === 1_000 && perSecond === 200 && strategy === 'full jitter') {
            budgets.push(...budgetsOf(storm, result))
            const window: Storm = { ...storm, limit: 'window' }
            rows['  the same, 200 in any second (the gateway)'] = cellsOf(window, await simulateStorm(window))
          }
        }
      }
    }
    const says = answer === 'throttled' ? 'says that it throttles' : 'refuses as it does a wrong policy'
    printTable(`The server ${says}`, columns, rows)
    for (const note of notes) console.log(`  ${note}`)
  }
  printBudgets(budgets)
}

/** Runs a storm; nothing, and a note why, where it would tell nothing within a bearable time. */
async function measure(storm: Storm, name: string, notes: string[]): Promise<StormResult | undefined> {
  const { environments, perSecond, strategy } = storm
  const idealSeconds = environments / perSecond
  const expected = (environments * idealSeconds) / 2 / secondsPerAttempt[strategy]
  if (strategy !== 'full jitter' && expected > maxAttempts) {
    notes.push(`${name}: not run, for it would make ${millions(expected)} attempts or more`)
    return undefined
  }
  // What comes to an end a little later is let to.
  const isNear = strategy === 'full jitter' && expected <= maxAttempts
  const result = await simulateStorm({ ...storm, maxAttempts: isNear ? 2 * maxAttempts : maxAttempts })
  if (result.connected === environments) return result
  const seconds = result.elapsedMs / 1_000
  notes.push(
    `${name}: stopped after ${millions(result.attempts)} attempts and ${seconds.toFixed(1)} s, in which the limit had room for ` +
      `${Math.min(environments, Math.floor(seconds * perSecond))} and ${result.connected} were let in`,
  )
  return strategy === 'full jitter' ? undefined : result
}

function cellsOf({ environments, perSecond }: Storm, result: StormResult): (number | string)[] {
  const { connected, elapsedMs, attempts, worstWaitMs, failedInvocations } = result
  const idealSeconds = environments / perSecond
  const isComplete = connected === environments
  return [
    isComplete ? elapsedMs / 1_000 : `> ${(elapsedMs / 1_000).toFixed(1)}`,
    idealSeconds,
    isComplete ? `${(elapsedMs / 1_000 / idealSeconds).toFixed(2)} ×` : '—',
    attempts / environments,
    worstWaitMs / 1_000,
    failedInvocations,
  ]
}

function budgetsOf({ environments, perSecond, answer }: Storm, result: StormResult): Budget[] {
  const what = `${environments} environments at ${perSecond} a second, ${answer}`
  const overIdeal = result.elapsedMs / 1_000 / (environments / perSecond)
  return [
    {
      what,
      measured: result.connected === environments ? overIdeal : Number.POSITIVE_INFINITY,
      limit: 1.3,
      unit: '×',
    },
    { what: `${what}: failed`, measured: result.failedInvocations, limit: 0, unit: 'of them' },
  ]
}

function millions(count: number): string {
  return `${(count / 1_000_000).toFixed(1)} million`
}
