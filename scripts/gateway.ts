// npm run gateway: keeps the sample's database and the gateway in front of it up until Ctrl-C, for `sam local invoke`, or a handler in
// a debugger. The data lasts as long.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { standInIdentity, startStack } from '../local/stack.ts'
import { root } from '../local/template.ts'
import { readArguments, readEngine, refusePositionals } from './arguments.ts'

const usage = `Usage: npm run gateway -- [--engine postgres] [--port 6432] [--host 127.0.0.1]

--engine  postgres, or mysql for MySQL or MariaDB.
--port    The port to listen on.
--host    The address to listen on. 127.0.0.1 is for this machine and, with Docker Desktop, for its containers. On Linux, containers
          come from outside: 172.17.0.1 (Docker's default bridge, see ip addr show docker0) lets in all containers of this machine,
          0.0.0.0 everybody who reaches this machine over the network and can sign with the key pair defaultkey.`

const { engine, address } = readArguments(
  usage,
  {
    engine: { type: 'string', default: 'postgres' },
    port: { type: 'string', default: '6432' },
    host: { type: 'string', default: '127.0.0.1' },
  },
  ({ values: { engine, host, port }, positionals }) => {
    refusePositionals(positionals)
    if (!/^\d+$/.test(port)) throw new Error(`Expected --port to be a number, got ${port}`)
    return { engine: readEngine(engine), address: { host, port: Number(port) } }
  },
)

const stack = await startStack(engine, {
  ...address,
  onDecision: ({ at, verdict, reason, user, database, client, tls, detail }) =>
    console.log(
      [at.toISOString().slice(11, 23), verdict, reason, `${user}@${database}`, client, tls?.version, detail]
        .filter(Boolean)
        .join('  '),
    ),
}).catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})

const folder = join(root, '.local')
mkdirSync(folder, { recursive: true })
const caFile = join(folder, 'ca.pem')
writeFileSync(caFile, stack.gateway.ca)
writeFileSync(
  join(folder, 'env.json'),
  `${JSON.stringify({ [stack.functionName]: stack.functionEnvironment('host.docker.internal') }, null, 2)}\n`,
)

// The user's own credentials, where the shell has some, would not be known to the gateway.
const { AWS_REGION, ...keys } = standInIdentity
const samCommand = [
  ...Object.entries(keys).map(([name, value]) => `${name}=${value}`),
  `AWS_SESSION_TOKEN= sam local invoke ${stack.functionName}`,
  '--env-vars .local/env.json',
  '--event events/add-note.json',
  `--region ${AWS_REGION}`,
  // Docker Desktop knows the name by itself.
  ...(process.platform === 'linux' ? ['--add-host host.docker.internal:host-gateway'] : []),
].join(' ')
console.log(`The gateway listens on ${stack.gateway.host}:${stack.gateway.port}, with ${stack.server} behind it. Ctrl-C ends both.

In Docker, after npm exec -c 'sam build':

  ${samCommand}
`)
if (process.platform === 'linux' && address.host === '127.0.0.1') {
  console.log(
    '  On Linux, containers do not reach 127.0.0.1: start again with --host 172.17.0.1 (see --help).\n',
  )
}
if (address.host === '127.0.0.1' || address.host === '0.0.0.0') {
  const { DATABASE_CA: _, ...environment } = stack.functionEnvironment('localhost')
  const variables = Object.entries({ ...standInIdentity, ...environment })
  console.log(`Outside Docker, for a handler that takes \`tls.ca\` from DATABASE_CA as src/sample/notes-${engine}.ts does:

  unset AWS_PROFILE AWS_SESSION_TOKEN
${variables.map(([name, value]) => `  export ${name}='${value}'`).join('\n')}
  export DATABASE_CA="$(cat '${caFile}')"
`)
}
