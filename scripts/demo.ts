// npm run demo: the whole way on one machine, for each engine. A real server, the gateway in front of it, the
// sample function built as `sam build` does and run in a process of its own; then the same function as it
// must not be let in. Exit 0 only if all was as it should be.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readArguments, readEngine } from '../kit/src/cli/arguments.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import type { RefusalReason } from '../kit/src/index.ts'
import { findNewest } from '../local/servers/newest.ts'
import {
  buildSample,
  type EngineName,
  engineNames,
  NotInstalled,
  otherUserName,
  type Stack,
  startSample,
  startStack,
} from '../local/stack.ts'
import { readTemplate, root } from '../local/template.ts'
import type { RdsIamErrorCode } from '../src/errors/rds-iam-error.ts'

const help = `npm run demo -- [--engine postgres]

--engine  Only postgres, or only mysql. Without it, both are shown.

The server is the newest that there is: what npm run servers has
fetched, else what is installed, else what npm brings.
`

const differences: string[] = []

function expect(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) {
    differences.push(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`)
  }
}

const ms = (milliseconds: number) => `${milliseconds.toFixed(1)} ms`.padStart(10)

async function showInvocations(stack: Stack, folder: string): Promise<void> {
  const notes = await startSample(stack, folder)
  const files = ['add-note.json', 'list-notes.json', 'who-am-i.json']
  console.log('  event            start       time  response')
  try {
    for (const [index, file] of [...files, ...files, ...files].entries()) {
      const event: unknown = JSON.parse(readFileSync(join(root, 'events', file), 'utf8'))
      const { cold, durationMs, initMs, payload, error } = await notes.invoke(event)
      const response = JSON.stringify(error ?? payload)
      const start = cold ? 'cold' : 'warm'
      console.log(
        `  ${file.padEnd(16)} ${start} ${ms(durationMs)}  ${response.length > 80 ? `${response.slice(0, 79)}…` : response}`,
      )
      if (initMs !== undefined)
        console.log(`${' '.repeat(21)}${ms(initMs)}  of INIT before it, in which it began to connect`)
      expect(`invocation ${index + 1} with ${file}, error`, error?.errorMessage, undefined)
      expect(`invocation ${index + 1}, cold`, cold, index === 0)
      if (error) continue
      if (file === 'list-notes.json')
        expect('notes listed', (payload as unknown[]).length, Math.ceil((index + 1) / files.length))
      if (file === 'who-am-i.json') {
        const { user, database, tls } = payload as Record<'user' | 'database', string> & {
          tls: { version: string }
        }
        expect('current_user', user, 'notes_app')
        expect('current_database()', database, 'notes')
        expect('TLS version at the function', tls.version, 'TLSv1.3')
      }
    }
  } finally {
    await notes.stop()
  }
  const { connections, tokens } = stack.database.stats()
  const tls = stack.database.decisions[0]?.tls
  console.log(`
  connections opened   ${connections}
  tokens signed        ${tokens}
  encryption           ${tls?.version}, ${tls?.cipher}
  database user        ${stack.database.decisions[0]?.user}
`)
  expect('connections opened', connections, 1)
  expect('tokens signed', tokens, 1)
  expect('TLS version at the gateway', tls?.version, 'TLSv1.3')
}

/**
 * Starts the function so that it must not be let in; shows what its user reads, and what only the gateway
 * knows.
 */
async function showRefusal(
  stack: Stack,
  folder: string,
  {
    title,
    environment,
    code,
    reason,
  }: {
    title: string
    environment: Record<string, string>
    code: RdsIamErrorCode
    reason: RefusalReason
  },
): Promise<void> {
  const notes = await startSample(stack, folder, environment)
  // A refused token is tried again for as long as the invocation lasts: here, not for long. The machine may be
  // busy, and the answer come late.
  const { error, payload } = await notes.invoke({ action: 'list' }, { timeoutMs: 1_500, graceMs: 10_000 })
  await notes.stop()
  const decision = stack.database.decisions.at(-1)
  console.log(`  ${title}
    caller    ${error ? `${error.errorType}: ${error.errorMessage}` : JSON.stringify(payload)}
    gateway   ${decision?.reason}: ${decision?.detail}
`)
  expect(`${title}, error`, error?.errorType, 'RdsIamError')
  // The function's log has the error with its code, from where it is looked up in docs/errors.md.
  expect(`${title}, code in the log`, /RDS_IAM_[A-Z_]+/.exec(notes.logs())?.[0], code)
  expect(`${title}, the gateway's verdict`, decision?.verdict, 'refused')
  expect(`${title}, the gateway's reason`, decision?.reason, reason)
}

async function showEngine(engine: EngineName): Promise<void> {
  const [stack, folder] = await Promise.all([
    startStack(engine, { programs: findNewest(engine) }),
    buildSample(engine),
  ])
  try {
    const { Handler } = readTemplate().Resources[stack.functionName].Properties
    const size = statSync(join(folder, Handler.replace(/\.handler$/, '.mjs'))).size
    console.log(`== ${stack.database.server}

${stack.functionName}, ${(size / 1000).toFixed(0)} kB, as AWS Lambda would run it:
`)
    await showInvocations(stack, folder)
    console.log('What a refusal looks like:\n')
    await showRefusal(stack, folder, {
      title: 'A database user that is not an IAM user',
      environment: { [stack.variables.user]: 'notes_guest' },
      code: 'RDS_IAM_NOT_GRANTED',
      reason: 'NotIamUser',
    })
    await showRefusal(stack, folder, {
      title: "An IAM user whom the template's policy does not name",
      environment: { [stack.variables.user]: otherUserName },
      code: 'RDS_IAM_ACCESS_DENIED',
      reason: 'NotAuthorized',
    })
    await showRefusal(stack, folder, {
      title: 'Credentials that nobody knows',
      environment: { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE' },
      code: 'RDS_IAM_ACCESS_DENIED',
      reason: 'InvalidToken',
    })
  } finally {
    await stack.database.close()
  }
}

async function run(args: readonly string[]): Promise<number> {
  const { values } = readArguments(args, { engine: { type: 'string' } })
  const engine = values.engine === undefined ? undefined : readEngine(values.engine)
  console.log('Starting the servers and the gateway, and building the functions …\n')
  for (const name of engine === undefined ? engineNames : [engine]) {
    try {
      await showEngine(name)
    } catch (error) {
      // What nobody asked for by name, and this machine does not have, is left out.
      if (engine !== undefined || !(error instanceof NotInstalled)) throw error
      console.log(`MySQL is not shown: ${error.message}.\n`)
    }
  }
  if (differences.length === 0) console.log('Everything was as it should be.')
  else console.error(`Not as it should be:\n${differences.map(difference => `- ${difference}`).join('\n')}`)
  return differences.length === 0 ? 0 : 1
}

await runProgram('npm run demo --', { help, run })
