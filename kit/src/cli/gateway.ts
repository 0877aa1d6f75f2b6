#!/usr/bin/env node
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { RdsIamError } from 'middy-rds-iam'
import type { Endpoint } from 'middy-rds-iam/identifiers'
import type { Decision } from '../gateway/decision.ts'
import { type Gateway, startGateway } from '../gateway/gateway.ts'
import type { GatewayOptions } from '../gateway/options.ts'
import { standInCredentials } from '../gateway/settings.ts'
import type { GatewayCredentials } from '../gateway/sigv4.ts'
import { readPolicyFlags } from './policy-flags.ts'
import { UsageError } from './usage.ts'

const help = `rds-iam-gateway: authenticates as Amazon RDS with IAM does, in front of a real PostgreSQL, MySQL
or MariaDB server.

  rds-iam-gateway --upstream 127.0.0.1:5432 --port 6432 --region eu-west-1

  --upstream host:port   the real server (needed)
  --engine name          postgres, or mysql for MySQL and MariaDB (default: postgres)
  --region name          the Region that tokens must be signed for (default: AWS_REGION)
  --host address         the address to listen on (default: 127.0.0.1)
  --port number          the port to listen on (default: any free one)
  --endpoint host:port   an RDS endpoint that tokens may be signed for, besides localhost and
                         host.docker.internal at the gateway's port; may be repeated
  --user name            an IAM user of the database; may be repeated (default: every user)
  --policy file          the IAM policy that decides who may connect, JSON
  --template file        instead, a CloudFormation or SAM template that has it, YAML or JSON
  --parameter Name=Value a parameter of the template, or an attribute that only a deployed stack
                         has, Database.DbiResourceId=db-ABCDEFGHIJKL01234; may be repeated
  --role name            the role of the template, or the function that has it (needed where
                         several may connect)
  --resource-id id       the DbiResourceId that the policy is evaluated for, db-ABCDEFGHIJKL01234
  --account-id digits    the AWS account, likewise (default: 123456789012)
  --limit number         new connections a second (default: no limit)
  --ca-file path         where to write the certificate to trust (default: a temporary file)
  --help

Tokens may be signed with SAM CLI's stand-in credentials (defaultkey, defaultsecret) and, where they are set, with
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Where the real server asks for a password, it is taken
from RDS_IAM_GATEWAY_UPSTREAM_PASSWORD. A client that has no session 10 seconds after it connected is closed.
`

interface Command {
  readonly options: GatewayOptions
  readonly caFile: string | undefined
}

/** @returns Nothing where help is asked for. */
async function readCommand(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Command | undefined> {
  const { values } = parse(args)
  if (values.help) return undefined
  if (values.upstream === undefined) throw new UsageError('--upstream host:port is needed')
  const region = values.region ?? env.AWS_REGION
  if (region === undefined) throw new UsageError('--region is needed, or AWS_REGION')

  const pair = environmentCredentials(env)
  const options: GatewayOptions = {
    engine: readEngine(values.engine),
    upstream: {
      ...readEndpoint('--upstream', values.upstream),
      password: env.RDS_IAM_GATEWAY_UPSTREAM_PASSWORD,
    },
    region,
    host: values.host,
    port: values.port === undefined ? undefined : readNumber('--port', values.port),
    endpoints: values.endpoint?.map(text => readEndpoint('--endpoint', text)),
    credentials: pair === undefined ? undefined : [standInCredentials, pair],
    users: values.user,
    policy: await readPolicyFlags(values, region),
    maxConnectionsPerSecond: values.limit === undefined ? undefined : readNumber('--limit', values.limit),
    onDecision: decision => console.log(formatDecision(decision)),
  }
  return { options, caFile: values['ca-file'] }
}

const flags = {
  upstream: { type: 'string' },
  engine: { type: 'string' },
  region: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  endpoint: { type: 'string', multiple: true },
  user: { type: 'string', multiple: true },
  policy: { type: 'string' },
  template: { type: 'string' },
  parameter: { type: 'string', multiple: true },
  role: { type: 'string' },
  'resource-id': { type: 'string' },
  'account-id': { type: 'string' },
  limit: { type: 'string' },
  'ca-file': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

function parse(args: readonly string[]) {
  const { values, tokens } = parseTokens(args)
  const given = tokens.flatMap(token => (token.kind === 'option' ? [token.name] : []))
  // The last one would be taken without a word, of two policies for example.
  const twice = given.find((name, index) => given.indexOf(name) < index && !('multiple' in flags[name]))
  if (twice !== undefined) throw new UsageError(`--${twice} is given twice`)
  return { values }
}

function parseTokens(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: flags, tokens: true })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'the command line cannot be read')
  }
}

function readEngine(name: string | undefined): GatewayOptions['engine'] {
  if (name === undefined || name === 'postgres' || name === 'mysql') return name
  throw new UsageError(`--engine must be postgres or mysql, got "${name}"`)
}

function readEndpoint(name: string, text: string): Endpoint {
  const parts = /^(.+):(\d+)$/.exec(text)
  if (parts === null) throw new UsageError(`${name} must be host:port, got "${text}"`)
  // An IPv6 address is written in brackets in front of a port.
  return { host: (parts[1] ?? '').replace(/^\[(.*)\]$/, '$1'), port: Number(parts[2]) }
}

function readNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`${name} must be a whole number, got "${text}"`)
  return Number(text)
}

function environmentCredentials(env: NodeJS.ProcessEnv): GatewayCredentials | undefined {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = env
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY || AWS_ACCESS_KEY_ID === standInCredentials.accessKeyId)
    return undefined
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    sessionToken: AWS_SESSION_TOKEN || undefined,
  }
}

/** One line for each decision; names that a client chose are quoted, so that a line stays a line. */
function formatDecision({ at, client, user, database, verdict, reason, detail, tls }: Decision): string {
  const who = `${JSON.stringify(user)} to ${JSON.stringify(database)} from ${client}`
  return `${at.toISOString()} ${verdict} ${who} (${tls?.version ?? 'no TLS'}): ${reason === undefined ? '' : `${reason}: `}${detail}`
}

function writeCa(gateway: Gateway, caFile: string | undefined): string {
  const folder = caFile === undefined ? mkdtempSync(join(tmpdir(), 'rds-iam-gateway-')) : undefined
  if (folder !== undefined) process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const path = caFile ?? join(folder ?? '', 'ca.pem')
  try {
    writeFileSync(path, gateway.ca)
  } catch (error) {
    throw new UsageError(`--ca-file: ${error instanceof Error ? error.message : 'cannot be written'}`)
  }
  return path
}

async function main(): Promise<void> {
  const command = await readCommand(process.argv.slice(2), process.env)
  if (command === undefined) {
    process.stdout.write(help)
    return
  }
  const gateway = await startGateway(command.options)
  const end = (): void => void gateway.close()
  process.once('SIGINT', end).once('SIGTERM', end)
  try {
    const caFile = writeCa(gateway, command.caFile)
    const { upstream, region } = command.options
    console.log(
      `Listening on ${gateway.host}:${gateway.port} as ${region}, in front of ${upstream.host}:${upstream.port}`,
    )
    console.log(`Trust the certificate in ${caFile}`)
  } catch (error) {
    await gateway.close()
    throw error
  }
}

try {
  await main()
} catch (error) {
  const expected = error instanceof UsageError || error instanceof RdsIamError
  console.error(expected ? `rds-iam-gateway: ${error.message}` : error)
  if (error instanceof UsageError) console.error('Try --help.')
  process.exitCode = expected ? 2 : 1
}
