import { readRegion } from '../address.ts'
import { createChecks, refuseProblems } from '../checks.ts'
import { isIpAddress } from '../endpoint.ts'
import type { SignerRequest } from '../options.ts'
import { createSigner } from '../token/signer.ts'
import { type Command, callWithFlags, readArguments, UsageError } from './command.ts'

export const token: Command = {
  help: `middy-rds-iam token: prints an authentication token, as \`aws rds generate-db-auth-token\` does.

  host=orders.c1x2.eu-west-1.rds.amazonaws.com
  PGPASSWORD="$(middy-rds-iam token --host $host --port 5432 --user orders_app)" \\
    psql "host=$host user=orders_app dbname=orders sslmode=verify-full sslrootcert=global-bundle.pem"

  --host name, --hostname name   the endpoint of the instance, cluster or proxy; no other name of it
  --port number                  the database's port
  --user name, --username name   the database user
  --region name                  the database's Region (default: the endpoint's, else AWS_REGION)

It signs with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or whatever else the AWS SDK finds. The token is as
good as a password for 15 minutes.
`,
  async run(args) {
    const { values } = readArguments(args, {
      host: { type: 'string' },
      hostname: { type: 'string' },
      port: { type: 'string' },
      user: { type: 'string' },
      username: { type: 'string' },
      region: { type: 'string' },
    })
    // Two spellings of one option: one of them would be taken without a word.
    for (const [name, other] of [
      ['host', 'hostname'],
      ['user', 'username'],
    ] as const)
      if (values[name] !== undefined && values[other] !== undefined)
        throw new UsageError(`--${name} and --${other} are the same; give one of them`)
    const request = callWithFlags(() => readRequest(values))
    const sign = createSigner({ request, credentials: undefined, signer: undefined })
    const { value } = await sign()
    process.stdout.write(`${value}\n`)
    return 0
  },
}

type Given = {
  readonly [Name in 'host' | 'hostname' | 'port' | 'user' | 'username' | 'region']?: string | undefined
}

function readRequest({
  hostname,
  host = hostname,
  port,
  username,
  user = username,
  region,
}: Given): SignerRequest {
  const checks = createChecks()
  for (const [name, value] of Object.entries({ host, port, user }))
    if (value === undefined) checks.complain(name, 'is missing')
  const name = checks.host('host', host) ?? ''
  if (isIpAddress(name))
    checks.complain('host', 'is an IP address, which no token is valid for; give the endpoint')
  const endpoint = { host: name, port: checks.port('port', port) ?? 0 }
  const request = {
    ...endpoint,
    user: checks.text('user', user) ?? '',
    region: readRegion(checks, region, endpoint),
  }
  refuseProblems('token', checks.problems)
  return request
}
