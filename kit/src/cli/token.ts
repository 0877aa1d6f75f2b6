import { resolve } from 'node:path'
import { createTokenSource, type TokenSourceOptions } from 'middy-rds-iam'
import { callWithFlags, readArguments, readEngine, readInput, UsageError } from './arguments.ts'
import { clientEnvironment } from './client-environment.ts'
import type { Command } from './command.ts'
import { type ClientTarget, formatDatabaseUrl } from './database-url.ts'
import { formatVariables } from './shell.ts'

export const token: Command = {
  help: `rds-iam token: prints an authentication token, as \`aws rds generate-db-auth-token\` does.

  host=orders.c1x2.eu-west-1.rds.amazonaws.com
  PGPASSWORD="$(rds-iam token --host $host --port 5432 --user orders_app)" \\
    psql "host=$host user=orders_app dbname=orders sslmode=verify-full sslrootcert=global-bundle.pem"

  --host name, --hostname name   the endpoint of the instance, cluster or proxy; no other name of it
  --port number                  the database's port
  --user name, --username name   the database user
  --region name                  the database's Region (default: the endpoint's, else AWS_REGION)
  --format name                  raw, the token alone (default); url, for DATABASE_URL; or env, of PostgreSQL, commands for a
                                 shell that set PGHOST, PGPASSWORD and the others, and DATABASE_URL
  --engine name                  with url and env: postgres, or mysql for MySQL and MariaDB (default: postgres)
  --database name                with url and env: the database (default: with PostgreSQL the user's name, with MySQL none)
  --ca-file path                 with url and env: the file of certificate authorities that they name, PEM; \`rds-iam ca\`
                                 prints them. Without it, clients have to know them already

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
      format: { type: 'string' },
      engine: { type: 'string' },
      database: { type: 'string' },
      'ca-file': { type: 'string' },
    })
    // Two spellings of one option: one of them would be taken without a word.
    for (const [name, other] of [
      ['host', 'hostname'],
      ['user', 'username'],
    ] as const)
      if (values[name] !== undefined && values[other] !== undefined)
        throw new UsageError(`--${name} and --${other} are the same; give one of them`)
    const { hostname, host = hostname, port, username, user = username, region } = values
    const format = readFormat(values)
    const engine = readEngine(values.engine ?? 'postgres')
    if (format === 'env' && engine === 'mysql') throw new UsageError(noVariables)
    const trust = readTrust(values['ca-file'])
    // What is missing, or no port, the options say.
    const options = { host, port, user, region } as unknown as TokenSourceOptions
    const sign = await callWithFlags(() => createTokenSource(options))
    const address = { host: options.host, port: Number(port), user: options.user, database: values.database }
    process.stdout.write(formats[format]({ ...address, engine, trust, token: await sign() }))
    return 0
  },
}

const noVariables =
  'no variable has the clients of MySQL verify a server: run them by rds-iam exec, or give --format url'

const formats = {
  raw: ({ token }: ClientTarget) => `${token}\n`,
  url: (target: ClientTarget) => `${formatDatabaseUrl(target)}\n`,
  env: (target: ClientTarget) => formatVariables(clientEnvironment(target)),
} as const

type Values = Readonly<Partial<Record<'format' | 'engine' | 'database' | 'ca-file', string | undefined>>>

function readFormat({ format = 'raw', ...others }: Values): keyof typeof formats {
  if (format !== 'raw' && format !== 'url' && format !== 'env')
    throw new UsageError(`--format is neither raw, url nor env; got ${JSON.stringify(format)}`)
  const unused = (['engine', 'database', 'ca-file'] as const).find(name => others[name] !== undefined)
  if (format === 'raw' && unused !== undefined)
    throw new UsageError(`--${unused} goes with --format url or env`)
  return format
}

/** A path that holds wherever the command runs that is given it. */
function readTrust(path: string | undefined): ClientTarget['trust'] {
  if (path === undefined) return {}
  if (path === '-') throw new UsageError('--ca-file names a file that is read later; it cannot be -')
  const text = readInput(`--ca-file ${path}`, path, String)
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new UsageError(`--ca-file ${path} holds no certificate in PEM`)
  return { file: resolve(path), text }
}
