import { writeFileSync } from 'node:fs'
import { readVariable } from 'middy-rds-iam/options'
import { startWithAuthority } from '../gateway/gateway.ts'
import type { GatewayOptions } from '../gateway/options.ts'
import { readOptions } from '../gateway/settings.ts'
import type { GatewayCredentials } from '../gateway/sigv4.ts'
import { closeToAll, isOpenToAll, standInCredentials } from '../gateway/stand-in.ts'
import { probeUpstream } from '../gateway/upstream-probe.ts'
import {
  callWithFlags,
  readAddress,
  readArguments,
  readEngine,
  readInput,
  readNumber,
  UsageError,
} from './arguments.ts'
import type { Command } from './command.ts'
import { formatDecision } from './decision-line.ts'
import { keepAuthority } from './kept-authority.ts'
import { findProjectFolder } from './kept-files.ts'
import { policyFlagNames, policyFlags, policyHelp, readPolicyFlags } from './policy-flags.ts'

const flags = {
  upstream: { type: 'string' },
  'upstream-ca': { type: 'string' },
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

  --upstream host:port   the real server (needed). On loopback it is spoken to in plain text; beyond it, over
                         TLS alone, by a certificate for that host
  --upstream-ca file     the authority of the real server, PEM, for one on loopback that demands TLS, too
                         (default: the authorities of Node.js and of this machine)
  --engine name          postgres, or mysql for MySQL and MariaDB (default: postgres)
  --region name          the Region that tokens must be signed for (default: AWS_REGION)
  --host address         the address to listen on (default: 127.0.0.1). Beyond loopback, the key pair
                         defaultkey is refused unless --user and --policy or --template name who may
  --port number          the port to listen on (default: any free one)
  --endpoint host:port   an RDS endpoint that tokens may be signed for, besides localhost and
                         host.docker.internal at the gateway's port; may be repeated
  --user name            an IAM user of the database; may be repeated (default: every user)
${policyHelp}
  --limit number         new connections a second (default: no limit)
  --ca-file path         where to write the certificate to trust, too

The authority is kept in the folder .rds-iam, beside package.json, and is the same at each start: ca.pem is to be trusted.
Removing authority.pem makes a new one.
Tokens may be signed with SAM CLI's stand-in credentials (defaultkey, defaultsecret) and, where they are set, with
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Where the real server asks for a password, it is taken
from RDS_IAM_GATEWAY_UPSTREAM_PASSWORD, for every user. A client that has no session 10 seconds after it connected is closed.
`,
  async run(args) {
    const { values } = readArguments(args, flags)
    const options = await readFlags(values)
    const names = {
      ...policyFlagNames(values),
      endpoints: 'endpoint',
      users: 'user',
      'upstream.ca': 'upstream-ca',
      upstream: 'upstream',
      maxConnectionsPerSecond: 'limit',
    }
    const settings = await callWithFlags(() => readOptions(options), names, { [closeToAll]: closeByFlags })
    await probeUpstream(settings).catch(error => {
      throw new UsageError(`--upstream: ${error.message}`)
    })
    const { authority, caFile } = await keepAuthority(findProjectFolder())
    const copy = values['ca-file']
    if (copy !== undefined) writeCopy(copy, authority.ca)
    const running = await callWithFlags(() => startWithAuthority(settings, authority))
    // Not `once`: npm passes a signal on that a terminal has sent to everybody, and the second one would end
    // the process as one that was interrupted.
    const end = (): void => void running.close()
    process.on('SIGINT', end).on('SIGTERM', end)
    const { upstream, region } = settings
    console.log(
      `Listening on ${running.host}:${running.port} as ${region}, in front of ${upstream.host}:${upstream.port}`,
    )
    console.log(`Trust the certificate in ${copy ?? caFile}`)
    if (!settings.credentials.has(standInCredentials.accessKeyId))
      console.log(
        `The key pair ${standInCredentials.accessKeyId} is refused, because everybody knows it: sign with ${[...settings.credentials.keys()]}`,
      )
    // It keeps the process alive until it is closed.
    return 0
  },
}

const closeByFlags =
  'give --user, and --policy or --template; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'

function writeCopy(path: string, ca: string): void {
  try {
    writeFileSync(path, ca, { mode: 0o644 })
  } catch (error) {
    throw new UsageError(`--ca-file: ${error instanceof Error ? error.message : 'cannot be written'}`)
  }
}

async function readFlags(values: Values): Promise<GatewayOptions> {
  if (values.upstream === undefined) throw new UsageError('--upstream host:port is needed')
  const region = values.region ?? readVariable('AWS_REGION')
  if (region === undefined) throw new UsageError('--region is needed, or AWS_REGION')
  const ca = values['upstream-ca']
  const policy = await readPolicyFlags(values, region)
  return {
    engine: values.engine === undefined ? undefined : readEngine(values.engine),
    upstream: {
      ...readAddress('--upstream', values.upstream),
      password: readVariable('RDS_IAM_GATEWAY_UPSTREAM_PASSWORD'),
      ca: ca === undefined ? undefined : readInput('--upstream-ca', ca, String),
    },
    region,
    host: values.host,
    port: values.port === undefined ? undefined : readNumber('--port', values.port),
    endpoints: values.endpoint?.map(text => readAddress('--endpoint', text)),
    credentials: readCredentials(
      values.host ?? '127.0.0.1',
      values.user !== undefined && policy !== undefined,
    ),
    users: values.user,
    policy,
    maxConnectionsPerSecond: values.limit === undefined ? undefined : readNumber('--limit', values.limit),
    onDecision: decision => console.log(formatDecision(decision)),
  }
}

/** The stand-in pair, where it may come in, and the one of the environment, where there is one. */
function readCredentials(host: string, isNarrow: boolean): readonly GatewayCredentials[] | undefined {
  const pair = environmentCredentials()
  if (pair === undefined) return undefined
  const known = [standInCredentials]
  return isOpenToAll(host.toLowerCase(), known, isNarrow) ? [pair] : [...known, pair]
}

function environmentCredentials(): GatewayCredentials | undefined {
  const accessKeyId = readVariable('AWS_ACCESS_KEY_ID')
  const secretAccessKey = readVariable('AWS_SECRET_ACCESS_KEY')
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  if (accessKeyId === standInCredentials.accessKeyId) return undefined
  return { accessKeyId, secretAccessKey, sessionToken: readVariable('AWS_SESSION_TOKEN') }
}
