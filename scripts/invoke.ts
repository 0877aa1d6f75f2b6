// npm run invoke -- events/add-note.json: builds the sample function, starts all it needs, invokes it once
// and prints its response.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { readArguments, readEngine, UsageError } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { buildSample, startSample, startStack } from '../local/stack.ts'

const help = `npm run invoke -- [--engine postgres] <event file>, for example npm run invoke -- events/add-note.json

--engine  postgres, or mysql for the sample function with MySQL or MariaDB.
`

function readEvent([file, ...more]: readonly string[]): unknown {
  if (file === undefined || more.length > 0)
    throw new UsageError(`one event file is needed, got ${[file, ...more].join(' ') || 'none'}`)
  // npm runs scripts in the package's folder; INIT_CWD is where the user stands.
  const path = resolve(process.env.INIT_CWD ?? '.', file)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`the event file cannot be read: ${(error as Error).message}`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${file} is not JSON: ${(error as Error).message}`)
  }
}

async function run(args: readonly string[]): Promise<number> {
  const { values, words } = readArguments(args, { engine: { type: 'string' } }, { words: true })
  const engine = readEngine(values.engine ?? 'postgres')
  const event = readEvent(words)
  const [stack, folder] = await Promise.all([startStack(engine), buildSample(engine)])
  const notes = await startSample(stack, folder)
  const { payload, error, durationMs, initMs = 0 } = await notes.invoke(event)
  await notes.stop()
  await stack.database.close()
  // The response alone goes to standard output, for jq and the like.
  console.log(JSON.stringify(error ?? payload, null, 2))
  console.error(
    `${error ? 'failed' : 'succeeded'} in ${durationMs.toFixed(0)} ms, after ${initMs.toFixed(0)} ms of INIT`,
  )
  return error ? 1 : 0
}

await runProgram('npm run invoke --', { help, run })
