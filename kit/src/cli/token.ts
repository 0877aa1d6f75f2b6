import { createTokenSource, type TokenSourceOptions } from 'middy-rds-iam'
import { callWithFlags, readArguments, UsageError } from './arguments.ts'
import type { Command } from './command.ts'

export const token: Command = {
  help: `rds-iam token: prints an authentication token, as \`aws rds generate-db-auth-token\` does.

  host=orders.c1x2.eu-west-1.rds.amazonaws.com
  PGPASSWORD="$(rds-iam token --host $host --port 5432 --user orders_app)" \\
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
    const { hostname, host = hostname, port, username, user = username, region } = values
    // What is missing, or no port, the options say.
    const options = { host, port, user, region } as unknown as TokenSourceOptions
    const token = await callWithFlags(() => createTokenSource(options))
    process.stdout.write(`${await token()}\n`)
    return 0
  },
}
