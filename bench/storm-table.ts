import { type Budget, printBudgets, printTable } from './report.ts'
import { type Storm, type StormResult, type Strategy, simulateStorm } from './storm.ts'
import { runOutage } from './storm-outage-table.ts'

const sizes = [1_000, 10_000, 100_000]
const limits = [10, 200, 256]
const strategies: readonly Strategy[] = ['full jitter', 'exponential', 'immediate']

/** The most attempts that one storm simulates: about half a minute, and less for the comparisons. */
const maxAttempts: Readonly<Record<Strategy, number>> = {
  'full jitter': 500_000,
  exponential: 100_000,
  immediate: 100_000,
}

/** Fewer tell nothing. */
const fewestEnvironments = 100

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
      "1/n of a second; what is turned away does not count. 'worst wait' is one invocation's; an attempt takes 30 to 50 ms. (1:100) is every\n" +
      'hundredth of the environments against a hundredth of the limit.',
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
            // What comes to an end a little later than expected is let to.
            maxAttempts: 2 * maxAttempts[strategy],
          }
          const share = shareOf(storm)
          const name = `${environments} at ${perSecond} a second, ${strategy}${share === 1 ? '' : ` (1:${share})`}`
          const result = await measure(storm, share, name, notes)
          rows[name] = cellsOf(storm, share, result)
          if (environments === 1_000 && perSecond === 200 && strategy === 'full jitter') {
            budgets.push(...budgetsOf(storm, result))
            const window: Storm = { ...storm, limit: 'window' }
            rows['  the same, 200 in any second (the gateway)'] = cellsOf(
              window,
              1,
              await simulateStorm(window),
            )
          }
        }
      }
    }
    const says = answer === 'throttled' ? 'says that it throttles' : 'refuses as it does a wrong policy'
    printTable(`The server ${says}`, columns, rows)
    for (const note of notes) console.log(`  ${note}`)
  }
  budgets.push(...(await runOutage()))
  printBudgets(budgets)
}

/** Who was refused for a whole budget tries once an invocation from then on, and here is invoked again at once. */
const secondsPerKnownRefusal = 0.17

/** How many attempts a storm will make. */
function expectedAttempts({ environments, perSecond, strategy, answer }: Storm): number {
  const idealSeconds = environments / perSecond
  const isKnown = answer === 'refused' && strategy === 'full jitter' && idealSeconds > 10
  return (environments * idealSeconds) / 2 / (isKnown ? secondsPerKnownRefusal : secondsPerAttempt[strategy])
}

/**
 * How many environments one stands for. Where too many attempts would be made, every tenth, hundredth or
 * thousandth environment meets as small a part of the limit, for as long. That holds where each chooses its
 * moments by itself, and not for those that all try at once.
 */
function shareOf(storm: Storm): number {
  let share = 1
  if (storm.strategy !== 'full jitter') return share
  while (
    expectedAttempts(storm) / share > maxAttempts[storm.strategy] &&
    storm.environments / share / 10 >= fewestEnvironments
  )
    share *= 10
  return share
}

/** Runs a storm, or a share of it, and notes how far it got where it would not end within a bearable time. */
async function measure(storm: Storm, share: number, name: string, notes: string[]): Promise<StormResult> {
  const environments = storm.environments / share
  const perSecond = storm.perSecond / share
  const result = await simulateStorm({ ...storm, environments, perSecond })
  if (result.connected === environments) return result
  const seconds = result.elapsedMs / 1_000
  notes.push(
    `${name}: stopped after ${millions(result.attempts)} attempts of ${millions(expectedAttempts(storm) / share)} or more, and ` +
      `${seconds.toFixed(1)} s, in which the limit had room for ${Math.min(environments, Math.floor(seconds * perSecond))} and ` +
      `${result.connected} were let in`,
  )
  return result
}

function cellsOf(
  { environments, perSecond }: Storm,
  share: number,
  result: StormResult,
): (number | string)[] {
  const { connected, elapsedMs, attempts, worstWaitMs, failedInvocations } = result
  const idealSeconds = environments / perSecond
  const isComplete = connected === environments / share
  return [
    isComplete ? elapsedMs / 1_000 : `> ${(elapsedMs / 1_000).toFixed(1)}`,
    idealSeconds,
    isComplete ? `${(elapsedMs / 1_000 / idealSeconds).toFixed(2)} ×` : '—',
    (attempts / environments) * share,
    worstWaitMs / 1_000,
    failedInvocations * share,
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
