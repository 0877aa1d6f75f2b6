// npm run invoke -- events/add-note.json: builds the sample function, starts all it needs, invokes it once and prints its response.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { buildSample, startSample, startStack } from '../local/stack.ts'

const usage = 'Usage: npm run invoke -- <event file>, for example npm run invoke -- events/add-note.json'

function readEvent(files: readonly string[]): unknown {
  const [file] = files
  if (file === undefined || files.length > 1) throw new Error(usage)
  // npm runs scripts in the package's folder; INIT_CWD is where the user stands.
  const path = resolve(process.env.INIT_CWD ?? '.', file)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`Cannot read the event file: ${(error as Error).message}\n${usage}`)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`)
  }
}

let event: unknown
try {
  event = readEvent(process.argv.slice(2))
} catch (error) {
  console.error((error as Error).message)
  process.exit(2)
}

const [stack, folder] = await Promise.all([startStack(), buildSample()])
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
