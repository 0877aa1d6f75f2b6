// npm run test:mutants: changes the sources of the core in one place after the other, and looks whether a test
// notices. Prints what none noticed, and the score of each folder. Exit 1 where a folder is below the threshold.
import { setPriority } from 'node:os'
import { readArguments, UsageError } from '../../kit/src/cli/arguments.ts'
import { runProgram } from '../../kit/src/cli/program.ts'
import { equivalents } from './equivalents.ts'
import { coreFolders } from './folders.ts'
import { installStryker, type Mutant, tryMutants } from './stryker.ts'

const thresholdPercent = 92

const help = `npm run test:mutants -- [FOLDER …] [--again]

FOLDER   ${Object.keys(coreFolders).join(', ')}; without any, all of them.
--again  Tries only what no test has failed at the last time, and what is new since then.
`

/** What came of a folder. */
interface Score {
  readonly name: string
  readonly tried: number
  readonly noticed: number
  /** How many of those were noticed because the tests did not end in time. */
  readonly timedOut: number
  readonly equivalent: number
  /** What is named as equivalent, and is not. */
  readonly stale: readonly string[]
}

const percentOf = ({ tried, noticed, equivalent }: Score) => (100 * noticed) / (tried - equivalent)

function judge(name: string, mutants: readonly Mutant[]): Score {
  const survivors = mutants.filter(({ isNoticed }) => !isNoticed)
  const isNamed = ({ file, text, change }: Mutant) =>
    equivalents[file]?.some(known => known.line === text && known.change === change) === true
  const open = survivors.filter(mutant => !isNamed(mutant))
  for (const { file, line, text, change } of open) console.log(`${file}:${line} ${text}\n  ${change}`)
  return {
    name,
    tried: mutants.length,
    noticed: mutants.length - survivors.length,
    timedOut: mutants.filter(({ isTimedOut }) => isTimedOut).length,
    equivalent: survivors.length - open.length,
    stale: findStale(mutants, survivors),
  }
}

/** What is named as equivalent of these files, and is not, or no longer. */
function findStale(mutants: readonly Mutant[], survivors: readonly Mutant[]): string[] {
  return [...new Set(mutants.map(({ file }) => file))].flatMap(file =>
    (equivalents[file] ?? [])
      .filter(
        ({ line, change }) =>
          !survivors.some(mutant => mutant.file === file && mutant.text === line && mutant.change === change),
      )
      .map(({ change }) => `${file}: ${change}`),
  )
}

async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readArguments(args, { again: { type: 'boolean' } }, { words: true })
  const all = Object.keys(coreFolders)
  const unknown = words.filter(word => !all.includes(word))
  if (unknown.length > 0)
    throw new UsageError(`there is no folder ${unknown.join(', ')}; there are ${all.join(', ')}`)
  const names = words.length === 0 ? all : all.filter(name => words.some(word => word === name))
  installStryker()
  // It takes all that the machine has, for minutes: whatever else runs here comes first.
  setPriority(10)
  const scores: Score[] = []
  for (const [name, core] of Object.entries(coreFolders)) {
    if (!names.includes(name)) continue
    console.log(`\n== ${name}`)
    scores.push(judge(name, tryMutants(name, core, values.again === true)))
  }
  console.log('')
  console.table(
    Object.fromEntries(
      scores.map(score => [
        score.name,
        {
          tried: score.tried,
          noticed: score.noticed,
          'of these by time': score.timedOut,
          equivalent: score.equivalent,
          score: `${percentOf(score).toFixed(1)} %`,
        },
      ]),
    ),
  )
  const stale = scores.flatMap(score => score.stale)
  if (stale.length > 0)
    console.log(`Named as equivalent in test/mutants/equivalents.ts, and not so:\n${stale.join('\n')}`)
  const below = scores.filter(score => percentOf(score) < thresholdPercent)
  if (below.length > 0)
    console.log(`Below ${thresholdPercent} %: ${below.map(({ name }) => name).join(', ')}.`)
  return below.length > 0 ? 1 : 0
}

await runProgram('npm run test:mutants --', { help, run })
