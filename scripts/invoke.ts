// npm run invoke -- events/add-note.json: builds the sample function, starts all it needs, invokes it once and prints its response.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { buildSample, startSample, startStack } from '../local/stack.ts'
import { readArguments, readEngine } from './arguments.ts'

const usage = `Usage: npm run invoke -- [--engine postgres] <event file>, for example npm run invoke -- events/add-note.json

--engine  postgres, or mysql for the sample function with MySQL or MariaDB.`

function readEvent([file, ...more]: readonly string[]): unknown {
  if (file === undefined || more.length > 0)
    throw new Error(`Expected one event file, got ${[file, ...more].join(' ') || 'none'}`)
  // npm runs scripts in the package's folder; INIT_CWD is where the user stands.
  const path = resolve(process.env.INIT_CWD ?? '.', file)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`Cannot read the event file: ${(error as Error).message}`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`)
  }
}

const { engine, event } = readArguments(
  usage,
  { engine: { type: 'string', default: 'postgres' } },
  ({ values, positionals }) => ({ engine: readEngine(values.engine), event: readEvent(positionals) }),
)

const [stack, folder] = await Promise.all([startStack(engine), buildSample(engine)]).catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
const notes = await startSample(stack, folder)
const { payload, error, durationMs, initMs = 0 } = await notes.invoke(event)
await notes.stop()
await stack.stop()
// The response alone goes to standard output, for jq and the like.
console.log(JSON.stringify(error ?? payload, null, 2))
console.error(
  `${error ? 'failed' : 'succeeded'} in ${durationMs.toFixed(0)} ms, after ${initMs.toFixed(0)} ms of INIT`,
)
process.exitCode = error ? 1 : 0
