import { RdsIamError } from 'middy-rds-iam'
import type { DiagnosisReport } from 'middy-rds-iam/diagnose/pg'
import { NotInstalled } from '../database/not-installed.ts'
import { callWithFlags, readArguments, readEndpoint, readEngine, readInput, readNumber } from './arguments.ts'
import type { Command } from './command.ts'
import { printSteps } from './step-lines.ts'

/** Each loads its driver, which need not be installed for the other. */
const engines = {
  postgres: {
    driver: 'pg',
    load: async () => {
      const { diagnosePg: run, ...format } = await import('middy-rds-iam/diagnose/pg')
      return { run, ...format }
    },
  },
  mysql: {
    driver: 'mysql2',
    load: async () => {
      const { diagnoseMysql: run, ...format } = await import('middy-rds-iam/diagnose/mysql2')
      return { run, ...format }
    },
  },
} as const

export const diagnose: Command = {
  help: `rds-iam diagnose: goes the whole way to a database, step by step, and says where it breaks and what to do.

  rds-iam diagnose --host orders.c1x2.eu-west-1.rds.amazonaws.com --user orders_app --database orders
  rds-iam diagnose --host localhost --port 15432 --endpoint orders.c1x2.eu-west-1.rds.amazonaws.com:5432 --user orders_app

  --engine name               postgres, or mysql for MySQL and MariaDB (default: postgres)
  --host name                 where to connect to: the endpoint, or a CNAME, a tunnel or an IP address, together with --endpoint
  --port number               its port (default: 5432, or 3306)
  --endpoint name[:port]      the real RDS endpoint, where --host is another name for it
  --user name                 the database user
  --database name             the database (default: with PostgreSQL the user's name, with MySQL none)
  --region name               the database's Region (default: the endpoint's, else AWS_REGION)
  --profile name              the AWS profile to sign with (default: AWS_PROFILE)
  --ca-file path              more certificate authorities to trust, PEM
  --connect-timeout-ms number the time that a step may take (default: 10000)
  --json                      print the report as JSON, when it is whole

What is not given is read from PGHOST, PGPORT, PGUSER and PGDATABASE, or MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER and MYSQL_DATABASE.
It signs with whatever the AWS SDK finds. No token and no secret is printed.

Each step is printed when it has ended; of one that goes on, the name.
It ends with 0 where the database is reached, and with 1 where a step failed.
`,
  async run(args) {
    const { values } = readArguments(args, {
      engine: { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string' },
      endpoint: { type: 'string' },
      user: { type: 'string' },
      database: { type: 'string' },
      region: { type: 'string' },
      profile: { type: 'string' },
      'ca-file': { type: 'string' },
      'connect-timeout-ms': { type: 'string' },
      json: { type: 'boolean' },
    })
    const {
      'ca-file': caFile,
      'connect-timeout-ms': timeout,
      engine: given,
      profile,
      json,
      ...address
    } = values
    const engine = readEngine(given ?? 'postgres')
    const { run, ...format } = await load(engine)
    // Where the AWS SDK looks for it, in every part.
    if (profile !== undefined) process.env.AWS_PROFILE = profile
    const options = {
      ...address,
      ...(address.port !== undefined && { port: readNumber('--port', address.port) }),
      endpoint: address.endpoint === undefined ? undefined : readEndpoint('--endpoint', address.endpoint),
      ...(caFile !== undefined && { tls: { ca: readInput(`--ca-file ${caFile}`, caFile, String) } }),
      ...(timeout !== undefined && { connectTimeoutMs: readNumber('--connect-timeout-ms', timeout) }),
    } as Parameters<typeof run>[0]
    const lines = json ? undefined : printSteps(engine, format)
    const report = await run(options, undefined, lines)
    await callWithFlags(() => refuseWrongOptions(report), { 'tls.ca': 'ca-file', endpoint: 'endpoint' })
    if (lines === undefined) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    else lines.printVerdict(report)
    return report.ok ? 0 : 1
  },
}

/** Wrong options are those of the command line, or of the variables that it is completed from. */
function refuseWrongOptions({ steps }: DiagnosisReport): void {
  const [options] = steps
  if (options?.status !== 'failed') return
  const { problems = [options.finding] } = (options.details ?? {}) as { problems?: readonly string[] }
  throw new RdsIamError('RDS_IAM_OPTIONS', ['the command line is wrong:', ...problems].join('\n- '))
}

async function load(engine: keyof typeof engines) {
  const { driver, load } = engines[engine]
  try {
    return await load()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${driver}'`)) throw error
    throw new NotInstalled(`the driver is not installed: npm install ${driver}`)
  }
}
