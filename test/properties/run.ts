// npm run test:properties: every property, with a seed of its own and ten times as many values as `npm test` tries.
import { spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readArguments, refusePositionals } from '../../scripts/arguments.ts'

const usage = `Usage: npm run test:properties -- [--seed 20260101] [--effort 10]

--seed    What the values are drawn from, a whole number: the same values again. Random unless given.
--effort  How many times as many values as \`npm test\` tries.`

const effortOfTen = '10'

function readWhole(name: string, text: string, min: number, max: number): number {
  const number = Number(text)
  if (!/^-?\d+$/.test(text) || number < min || number > max)
    throw new Error(`--${name} must be a whole number from ${min} to ${max}, not ${text}`)
  return number
}

const { seed, effort } = readArguments(
  usage,
  { seed: { type: 'string' }, effort: { type: 'string', default: effortOfTen } },
  ({ values, positionals }) => {
    refusePositionals(positionals)
    const seed = values.seed ?? String(randomInt(2 ** 31))
    return {
      seed: readWhole('seed', seed, -(2 ** 31), 2 ** 31 - 1),
      effort: readWhole('effort', values.effort, 1, 1_000),
    }
  },
)

const files = ['test/properties/**/*.test.ts', 'kit/test/gateway/hostile.test.ts']
const again = `npm run test:properties -- --seed ${seed} --effort ${effort}`
console.log(`The seed is ${seed}. The same values again: ${again}`)
const { status, signal } = spawnSync(process.execPath, [...process.execArgv, '--test', ...files], {
  stdio: 'inherit',
  env: { ...process.env, PROPERTIES_SEED: String(seed), PROPERTIES_EFFORT: String(effort) },
})
if (status !== 0) console.log(`It failed. The same values again: ${again}`)
process.exitCode = status ?? (signal === null ? 0 : 1)
