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
--again  Tries only what no test noticed the last time, and what is new since then.
`

/** What came of a folder. */
interface Score {
  readonly name: string
  readonly tried: number
  readonly noticed: number
  readonly equivalent: number
}

const percentOf = ({ tried, noticed, equivalent }: Score) => (100 * noticed) / (tried - equivalent)

const oneLine = (code: string) => {
  const text = code.replace(/\s+/g, ' ')
  return text.length > 90 ? `${text.slice(0, 89)}…` : text
}

function judge(name: string, mutants: readonly Mutant[]): Score {
  const survivors = mutants.filter(({ status }) => status !== 'Killed' && status !== 'Timeout')
  const isEquivalent = ({ file, before, after }: Mutant) =>
    equivalents.some(known => known.file === file && known.before === before && known.after === after)
  const open = survivors.filter(mutant => !isEquivalent(mutant))
  for (const { file, line, kind, before, after, status } of open)
    console.log(`${file}:${line} ${kind} ${status}\n  - ${oneLine(before)}\n  + ${oneLine(after)}`)
  return {
    name,
    tried: mutants.length,
    noticed: mutants.length - survivors.length,
    equivalent: survivors.length - open.length,
  }
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
          equivalent: score.equivalent,
          score: `${percentOf(score).toFixed(1)} %`,
        },
      ]),
    ),
  )
  const below = scores.filter(score => percentOf(score) < thresholdPercent)
  if (below.length > 0)
    console.log(`Below ${thresholdPercent} %: ${below.map(({ name }) => name).join(', ')}.`)
  return below.length > 0 ? 1 : 0
}

await runProgram('npm run test:mutants --', { help, run })
