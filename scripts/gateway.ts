// npm run gateway: keeps the sample's database and the gateway in front of it up until Ctrl-C, for `sam local
// invoke`, or a handler in a debugger. The data lasts as long.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { callWithFlags, readArguments, readEngine, readNumber } from '../kit/src/cli/arguments.ts'
import { formatDecision } from '../kit/src/cli/decision-line.ts'
import { writeEnvironmentFile } from '../kit/src/cli/environment-file.ts'
import { keepAuthority } from '../kit/src/cli/kept-authority.ts'
import { writeWhole } from '../kit/src/cli/kept-files.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { quoteForShell } from '../kit/src/cli/shell.ts'
import type { Decision } from '../kit/src/index.ts'
import { samCommands, samProblem } from '../local/sam-commands.ts'
import { type Stack, standInIdentity, startStack } from '../local/stack.ts'
import { root } from '../local/template.ts'

const help = `npm run gateway -- [--engine postgres] [--port 6432] [--host 127.0.0.1]

--engine  postgres, or mysql for MySQL or MariaDB.
--port    The port to listen on.
--host    The address to listen on. 127.0.0.1 is for this machine and, with Docker Desktop, for its containers. On Linux, containers
          come from outside: 172.17.0.1 (Docker's default bridge, see ip addr show docker0) lets in all containers of this machine,
          0.0.0.0 everybody who reaches this machine over the network and can sign with the key pair defaultkey.
`

async function run(args: readonly string[]): Promise<number> {
  const { values } = readArguments(args, {
    engine: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string' },
  })
  const engine = readEngine(values.engine ?? 'postgres')
  const { host = '127.0.0.1' } = values
  const port = readNumber('--port', values.port ?? '6432')
  const onDecision = (decision: Decision) => console.log(formatDecision(decision))
  const folder = join(root, '.local')
  const { authority, caFile } = await keepAuthority(folder)
  const getAuthority = async () => authority
  const stack = await callWithFlags(() => startStack(engine, { host, port, onDecision, getAuthority }))
  // One of each for every gateway, so that a second one does not change what the first was invoked with.
  const samFile = join('.local', `${engine}-${stack.database.port}.json`)
  const samEnvironment = { [stack.functionName]: stack.functionEnvironment('host.docker.internal') }
  writeWhole(join(root, samFile), `${JSON.stringify(samEnvironment, null, 2)}\n`, 0o600)
  const file = writeEnvironmentFile(folder, stack.database, caFile)
  explain(stack, host, { samFile, file })
  return 0
}

interface Files {
  /** For SAM CLI. */
  readonly samFile: string
  /** For a shell. */
  readonly file: string
}

function explain(stack: Stack, host: string, { samFile, file }: Files): void {
  const { database, engine, functionName } = stack
  const { AWS_REGION: region, ...credentials } = standInIdentity
  const target = { engine, functionName, environmentFile: samFile, region, credentials }
  const commands = samCommands(target, process)
  console.log(`The gateway listens on ${host}:${database.port}, with ${database.server} behind it. Ctrl-C ends both.

In Docker, after npm exec -c 'sam build':

  ${commands.invoke}

or, for a container that stays and keeps its connection, this and then, as often as you like, the second:

  ${commands.start}
  ${commands.call}
`)
  const problem = samProblem(readSamVersion())
  if (problem !== undefined) console.log(`  ${problem}.\n`)
  if (process.platform === 'linux' && host === '127.0.0.1') {
    console.log(
      '  On Linux, containers do not reach 127.0.0.1: start again with --host 172.17.0.1 (see --help).\n',
    )
  }
  if (database.host !== 'localhost') return
  console.log(`Outside Docker, for a handler that takes \`tls.ca\` from DATABASE_CA as src/sample/notes-${engine}.ts does:

  . ${quoteForShell(file)}
`)
}

/** Empty where there is no SAM CLI. */
function readSamVersion(): string {
  return spawnSync('sam', ['--version'], { encoding: 'utf8', timeout: 10_000 }).stdout ?? ''
}

await runProgram('npm run gateway --', { help, run })
