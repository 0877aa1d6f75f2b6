import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { LoginOptions } from 'middy-rds-iam/login-source'
import { readArguments, readEndpoint, readEngine, readInput, readNumber, UsageError } from './arguments.ts'
import type { Command } from './command.ts'
import { type ExecTarget, openTarget } from './exec-target.ts'
import { formatMysqlOptions } from './mysql-option-file.ts'
import { type Ending, endAs, runCommand, type Words } from './run-command.ts'
import { makeTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts'

const flags = {
  engine: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  endpoint: { type: 'string' },
  user: { type: 'string' },
  database: { type: 'string' },
  region: { type: 'string' },
  'ca-file': { type: 'string' },
  proxy: { type: 'boolean' },
} as const

type Values = ReturnType<typeof readArguments<typeof flags>>['values']

export const exec: Command = {
  help: `rds-iam exec: runs a command that finds the database and a fresh token in its environment.

  rds-iam exec --host orders.c1x2.eu-west-1.rds.amazonaws.com --user orders_owner --database orders -- drizzle-kit migrate
  rds-iam exec --engine mysql --host shop.c1x2.eu-west-1.rds.amazonaws.com --user shop_owner -- mysqldump shop

  --engine name    postgres, or mysql for MySQL and MariaDB (default: postgres)
  --host name      where to connect to: the endpoint of the instance, cluster or proxy; with --endpoint also a tunnel
  --port number    the database's port (default: 5432, or 3306)
  --user name      the database user
  --database name  the database (default: with PostgreSQL the user's name, with MySQL none)
  --region name    the database's Region (default: the endpoint's, else AWS_REGION)
  --ca-file path   more certificate authorities to trust, PEM
  --proxy          connect through a local proxy, which verifies the server and gives each connection a fresh token:
                   for tools that verify no server, and for commands that connect for longer than 15 minutes
  --endpoint name[:port]  with --proxy: the real RDS endpoint, where --host is another name for it

What is not given is read from PGHOST, PGPORT, PGUSER and PGDATABASE, or MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER and MYSQL_DATABASE.
The command finds the same variables, with PGPASSWORD, PGSSLMODE=verify-full and PGSSLROOTCERT, or MYSQL_PWD, MYSQL_SSL_CA and
MYSQL_HOME, whose my.cnf has mysql, mysqldump and their like verify the server; and DATABASE_URL, as pg or mysql2 read it. The files
behind them have no token in them, and are gone when the command ends. NODE_TLS_REJECT_UNAUTHORIZED is taken away. With --proxy they
lead to the proxy, with its password and without TLS.

It signs with whatever the AWS SDK finds: AWS_PROFILE, for example. A token can be used to connect for 15 minutes.

It passes signals on, and ends as the command does: with its status, or by its signal. It ends with 1 where there is no token,
and with 2 where the command line is wrong or the command is not there, before anything is started.
`,
  async run(args) {
    const end = args.indexOf('--')
    if (end < 0) throw new UsageError(commandNeeded)
    const { values } = readArguments(args.slice(0, end), flags)
    const words = readCommand(args.slice(end + 1))
    const engine = readEngine(values.engine ?? 'postgres')
    const options = readOptions(values)
    if (!values.proxy) refuseUnverified(values, words)
    const target = await openTarget(engine, options, { proxy: values.proxy ?? false })
    let folder: TemporaryFolder | undefined
    let ending: Ending
    const prepare = () => {
      folder = makeTemporaryFolder()
      return prepareEnvironment(target, folder.path)
    }
    try {
      ending = await runCommand(words, prepare)
    } finally {
      folder?.remove()
      await target.close()
    }
    return endAs(ending)
  },
}

const commandNeeded = 'a command is needed behind --: rds-iam exec --host … --user … -- psql'

function readCommand([command, ...args]: readonly string[]): Words {
  if (command) return [command, ...args]
  throw new UsageError(commandNeeded)
}

/** What is wrong with their values, or missing, the options say. */
function readOptions({ 'ca-file': caFile, port, endpoint, engine: _, proxy: __, ...address }: Values) {
  return {
    ...address,
    ...(port !== undefined && { port: readNumber('--port', port) }),
    ...(endpoint !== undefined && { endpoint: readEndpoint('--endpoint', endpoint) }),
    ...(caFile !== undefined && { tls: { ca: readInput(`--ca-file ${caFile}`, caFile, String) } }),
  } as LoginOptions
}

/**
 * Refuses what would leave the server unverified, or unreached. Prisma reads neither `verify-full` nor
 * `sslrootcert`, and takes any certificate without a word.
 *
 * @see https://github.com/prisma/prisma-engines/blob/main/quaint/src/connector/postgres/url.rs
 */
function refuseUnverified({ endpoint }: Values, words: Words): void {
  if (endpoint !== undefined)
    throw new UsageError('--endpoint goes with --proxy: the command itself would compare the name of --host')
  const named = isRunner(words[0]) ? words : [words[0]]
  if (named.some(word => /^prisma(@.*)?$/.test(basename(word))))
    throw new UsageError('prisma would send the token to any server, unverified: give --proxy')
}

/** Whether a program runs the packages that its arguments name. */
function isRunner(command: string): boolean {
  return /^(node|npx|npm|pnpm|pnpx|yarn|bun|bunx)$/.test(basename(command))
}

/** Writes the files that the command's environment names, none of which has a secret in it. */
function prepareEnvironment({ engine, address, ca, environment }: ExecTarget, folder: string) {
  const write = (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const caFile = ca === undefined ? undefined : write('ca.pem', ca)
  if (engine === 'mysql') write('my.cnf', formatMysqlOptions({ ...address, caFile }))
  const variables = { ...environment(caFile), ...(engine === 'mysql' && { MYSQL_HOME: folder }) }
  const all: NodeJS.ProcessEnv = { ...process.env, ...variables }
  for (const [name, value] of Object.entries(variables)) if (value === '') delete all[name]
  return all
}
