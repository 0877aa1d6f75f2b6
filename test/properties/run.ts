// npm run test:properties: every property, with a seed of its own and ten times as many values as `npm test`
// tries.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readArguments, UsageError } from '../../kit/src/cli/arguments.ts'
import { runProgram } from '../../kit/src/cli/program.ts'

const help = `npm run test:properties -- [--seed 20260101] [--effort 10]

--seed    What the values are drawn from, a whole number: the same values again. Random unless given.
--effort  How many times as many values as \`npm test\` tries.
`

function readWhole(flag: string, text: string, min: number, max: number): number {
  const number = Number(text)
  if (/^-?\d+$/.test(text) && number >= min && number <= max) return number
  throw new UsageError(`${flag} is not a whole number from ${min} to ${max}; got ${JSON.stringify(text)}`)
}

const files = ['test/properties/**/*.test.ts', 'kit/test/gateway/hostile.test.ts']

async function run(args: readonly string[]): Promise<number> {
  const { values } = readArguments(args, { seed: { type: 'string' }, effort: { type: 'string' } })
  const seed = readWhole('--seed', values.seed ?? String(randomInt(2 ** 31)), -(2 ** 31), 2 ** 31 - 1)
  const effort = readWhole('--effort', values.effort ?? '10', 1, 1_000)
  const again = `npm run test:properties -- --seed ${seed} --effort ${effort}`
  console.log(`The seed is ${seed}. The same values again: ${again}`)
  const { status } = spawnSync(process.execPath, [...process.execArgv, '--test', ...files], {
    stdio: 'inherit',
    env: { ...process.env, PROPERTIES_SEED: String(seed), PROPERTIES_EFFORT: String(effort) },
  })
  if (status !== 0) console.log(`It failed. The same values again: ${again}`)
  return status ?? 1
}

await runProgram('npm run test:properties --', { help, run })
