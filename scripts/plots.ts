// npm run plots: writes the figures of bench/results/*.json into the pages, and draws docs/pictures/*.svg of
// them. Exit 2 where there are no results at all; of those that are missing, it says how they are made.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeBenchmarkPage, writeReadme } from '../bench/page-figures.ts'
import { commands, describeMissing, readResults } from '../bench/results.ts'
import { readArguments, UsageError } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { root } from './packages.ts'
import { runInSite } from './site-packages.ts'

const help = `npm run plots

Writes what the benchmark measured into docs/benchmark.md and README.md, and draws docs/pictures/*.svg. The
figures are those of bench/results/*.json:
${Object.values(commands)
  .map(command => `  ${command}`)
  .join('\n')}
`

async function run(args: readonly string[]): Promise<number> {
  readArguments(args, {})
  const results = readResults()
  const missing = describeMissing(results)
  if (missing.length === Object.keys(results).length)
    throw new UsageError(`there is nothing to draw: ${missing.join('; ')}`)
  for (const each of missing) console.log(`${each}. What it would change stays as it is`)
  const pages = { 'docs/benchmark.md': writeBenchmarkPage, 'README.md': writeReadme }
  for (const [page, write] of Object.entries(pages)) {
    const file = join(root, page)
    writeFileSync(file, write(readFileSync(file, 'utf8'), results))
    console.log(page)
  }
  runInSite('plots')
  return 0
}

await runProgram('npm run plots --', { help, run })
