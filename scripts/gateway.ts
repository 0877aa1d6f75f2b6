// npm run gateway: keeps the sample's database and the gateway in front of it up until Ctrl-C, for `sam local
// invoke`, or a handler in a debugger. The data lasts as long.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { callWithFlags, readArguments, readEngine, readNumber } from '../kit/src/cli/arguments.ts'
import { formatDecision } from '../kit/src/cli/decision-line.ts'
import { runProgram } from '../kit/src/cli/program.ts'
import { formatEnvironment } from '../kit/src/cli/shell-environment.ts'
import type { Decision } from '../kit/src/index.ts'
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
  const stack = await callWithFlags(() => startStack(engine, { host, port, onDecision }))
  const folder = join(root, '.local')
  mkdirSync(folder, { recursive: true })
  const caFile = join(folder, 'ca.pem')
  writeFileSync(caFile, stack.database.ca)
  writeFileSync(
    join(folder, 'env.json'),
    `${JSON.stringify({ [stack.functionName]: stack.functionEnvironment('host.docker.internal') }, null, 2)}\n`,
  )
  explain(stack, host, caFile)
  return 0
}

function explain({ database, engine, functionName }: Stack, host: string, caFile: string): void {
  // The user's own credentials, where the shell has some, would not be known to the gateway.
  const { AWS_REGION, ...keys } = standInIdentity
  const samCommand = [
    ...Object.entries(keys).map(([name, value]) => `${name}=${value}`),
    `AWS_SESSION_TOKEN= sam local invoke ${functionName}`,
    '--env-vars .local/env.json',
    '--event events/add-note.json',
    `--region ${AWS_REGION}`,
    // Docker Desktop knows the name by itself.
    ...(process.platform === 'linux' ? ['--add-host host.docker.internal:host-gateway'] : []),
  ].join(' ')
  console.log(`The gateway listens on ${host}:${database.port}, with ${database.server} behind it. Ctrl-C ends both.

In Docker, after npm exec -c 'sam build':

  ${samCommand}
`)
  if (process.platform === 'linux' && host === '127.0.0.1') {
    console.log(
      '  On Linux, containers do not reach 127.0.0.1: start again with --host 172.17.0.1 (see --help).\n',
    )
  }
  if (database.host !== 'localhost') return
  const commands = formatEnvironment(database.environment, caFile).replace(/^(?=.)/gm, '  ')
  console.log(`Outside Docker, for a handler that takes \`tls.ca\` from DATABASE_CA as src/sample/notes-${engine}.ts does:

${commands}`)
}

await runProgram('npm run gateway --', { help, run })
