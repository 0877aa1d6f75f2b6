import { readVariable } from 'middy-rds-iam/options'
import { startGateway } from '../gateway/gateway.ts'
import type { GatewayOptions } from '../gateway/options.ts'
import { standInCredentials } from '../gateway/settings.ts'
import type { GatewayCredentials } from '../gateway/sigv4.ts'
import { callWithFlags, readAddress, readArguments, readEngine, readNumber, UsageError } from './arguments.ts'
import { writeCaFile } from './ca-file.ts'
import type { Command } from './command.ts'
import { formatDecision } from './decision-line.ts'
import { policyFlagNames, policyFlags, policyHelp, readPolicyFlags } from './policy-flags.ts'

const flags = {
  upstream: { type: 'string' },
  engine: { type: 'string' },
  region: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  endpoint: { type: 'string', multiple: true },
  user: { type: 'string', multiple: true },
  ...policyFlags,
  limit: { type: 'string' },
  'ca-file': { type: 'string' },
} as const

type Values = ReturnType<typeof readArguments<typeof flags>>['values']

export const gateway: Command = {
  help: `rds-iam gateway: authenticates as Amazon RDS with IAM does, in front of a real PostgreSQL, MySQL
or MariaDB server.

  rds-iam gateway --upstream 127.0.0.1:5432 --port 6432 --region eu-west-1

  --upstream host:port   the real server (needed)
  --engine name          postgres, or mysql for MySQL and MariaDB (default: postgres)
  --region name          the Region that tokens must be signed for (default: AWS_REGION)
  --host address         the address to listen on (default: 127.0.0.1)
  --port number          the port to listen on (default: any free one)
  --endpoint host:port   an RDS endpoint that tokens may be signed for, besides localhost and
                         host.docker.internal at the gateway's port; may be repeated
  --user name            an IAM user of the database; may be repeated (default: every user)
${policyHelp}
  --limit number         new connections a second (default: no limit)
  --ca-file path         where to write the certificate to trust (default: a temporary file)

Tokens may be signed with SAM CLI's stand-in credentials (defaultkey, defaultsecret) and, where they are set, with
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Where the real server asks for a password, it is taken
from RDS_IAM_GATEWAY_UPSTREAM_PASSWORD. A client that has no session 10 seconds after it connected is closed.
`,
  async run(args) {
    const { values } = readArguments(args, flags)
    const options = await readOptions(values)
    const running = await callWithFlags(() => startGateway(options), {
      ...policyFlagNames(values),
      endpoints: 'endpoint',
      users: 'user',
      upstream: 'upstream',
      maxConnectionsPerSecond: 'limit',
    })
    const end = (): void => void running.close()
    process.once('SIGINT', end).once('SIGTERM', end)
    try {
      const caFile = writeCaFile(running.ca, values['ca-file'])
      const { upstream, region } = options
      console.log(
        `Listening on ${running.host}:${running.port} as ${region}, in front of ${upstream.host}:${upstream.port}`,
      )
      console.log(`Trust the certificate in ${caFile}`)
      // It keeps the process alive until it is closed.
      return 0
    } catch (error) {
      await running.close()
      throw error
    }
  },
}

async function readOptions(values: Values): Promise<GatewayOptions> {
  if (values.upstream === undefined) throw new UsageError('--upstream host:port is needed')
  const region = values.region ?? readVariable('AWS_REGION')
  if (region === undefined) throw new UsageError('--region is needed, or AWS_REGION')
  const pair = environmentCredentials()
  return {
    engine: values.engine === undefined ? undefined : readEngine(values.engine),
    upstream: {
      ...readAddress('--upstream', values.upstream),
      password: readVariable('RDS_IAM_GATEWAY_UPSTREAM_PASSWORD'),
    },
    region,
    host: values.host,
    port: values.port === undefined ? undefined : readNumber('--port', values.port),
    endpoints: values.endpoint?.map(text => readAddress('--endpoint', text)),
    credentials: pair === undefined ? undefined : [standInCredentials, pair],
    users: values.user,
    policy: await readPolicyFlags(values, region),
    maxConnectionsPerSecond: values.limit === undefined ? undefined : readNumber('--limit', values.limit),
    onDecision: decision => console.log(formatDecision(decision)),
  }
}

function environmentCredentials(): GatewayCredentials | undefined {
  const accessKeyId = readVariable('AWS_ACCESS_KEY_ID')
  const secretAccessKey = readVariable('AWS_SECRET_ACCESS_KEY')
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  if (accessKeyId === standInCredentials.accessKeyId) return undefined
  return { accessKeyId, secretAccessKey, sessionToken: readVariable('AWS_SESSION_TOKEN') }
}
