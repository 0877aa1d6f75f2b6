import { readVariable } from 'middy-rds-iam/options'
import type { ProxyOptions } from '../proxy/options.ts'
import { type LocalProxy, startProxy } from '../proxy/proxy.ts'
import {
  callWithFlags,
  readArguments,
  readEndpoint,
  readEngine,
  readInput,
  readNumber,
  UsageError,
} from './arguments.ts'
import type { Command } from './command.ts'
import { formatProxyEvent } from './proxy-line.ts'
import { readListen, readUrl, type Target } from './proxy-target.ts'
import { quoteForShell } from './shell.ts'

const passwordVariable = 'RDS_IAM_PROXY_PASSWORD'

const targetFlags = {
  engine: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  endpoint: { type: 'string' },
  user: { type: 'string' },
  database: { type: 'string' },
  listen: { type: 'string' },
  socket: { type: 'string' },
} as const

const flags = {
  ...targetFlags,
  region: { type: 'string' },
  'ca-file': { type: 'string' },
  'connect-timeout-ms': { type: 'string' },
  'no-password': { type: 'boolean' },
} as const

type Values = ReturnType<typeof readArguments<typeof flags>>['values']

export const proxy: Command = {
  help: `rds-iam proxy: a local port for psql, TablePlus, DBeaver, Prisma Migrate and any language. Each connection to it becomes
one to RDS, over verified TLS and with a fresh IAM token, until Ctrl-C.

  rds-iam proxy --host orders.c1x2.eu-west-1.rds.amazonaws.com --user orders_app --database orders --listen 15432
  rds-iam proxy --host localhost --port 6432 --endpoint orders.c1x2.eu-west-1.rds.amazonaws.com:5432 --user orders_app
  rds-iam proxy postgres://orders_app@orders.c1x2.eu-west-1.rds.amazonaws.com/orders?listen=15432 \\
                mysql://shop_app@shop.c1x2.eu-west-1.rds.amazonaws.com/shop?listen=13306

  url …                       several databases at once, a port each: engine, user, host, port and database, and as
                              parameters endpoint, region, listen and socket; in place of the flags of these names
  --engine name               postgres, or mysql for MySQL and MariaDB (default: postgres)
  --host name                 the endpoint; or a CNAME, a tunnel or an IP address, together with --endpoint
  --port number               the database's port there (default: 5432, or 3306)
  --endpoint name[:port]      the real RDS endpoint, where --host is another name for it
  --user name                 the database user that clients log in as, and no other
  --database name             the database in the URL that is printed; clients may name others
  --region name               the database's Region (default: the endpoint's, else AWS_REGION)
  --listen [address:]port     the local port; the address is a loopback one (default: any free port of 127.0.0.1)
  --socket path               a Unix socket instead, for this user alone; for PostgreSQL called .s.PGSQL.5432
  --no-password               ask clients for no password: whoever uses this machine may connect
  --ca-file path              more certificate authorities to trust, PEM
  --connect-timeout-ms number the time that connecting may take, retries included (default: 10000)

What is not given is read from PGHOST, PGPORT, PGUSER and PGDATABASE, or MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER and MYSQL_DATABASE.
It signs with whatever the AWS SDK finds: AWS_PROFILE, for example.

A URL with the password of the local port goes to the standard output, a line for each database; what happens is told beside it.
The password is another one at each start, unless RDS_IAM_PROXY_PASSWORD gives one.
`,
  async run(args) {
    const { values, words } = readArguments(args, flags, { words: true })
    const targets = words.length === 0 ? [readFlags(values)] : words.map(word => readUrl(word))
    if (words.length > 0) refuseBoth(values)
    const password = readPassword(values)
    const common = readCommon(values)
    const running: LocalProxy[] = []
    const end = async (): Promise<void> => {
      await Promise.all(running.map(one => one.close()))
    }
    // Ctrl-C reaches a process twice where npm has started it and passes it on.
    const stop = (): void => void end().finally(() => process.exit(0))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
    try {
      for (const target of targets)
        running.push(await start({ ...common, ...target.options, password }, target.name))
    } catch (error) {
      await end()
      throw error
    }
    for (const one of running) announce(one)
    console.error('Ctrl-C ends it.')
    // The ports keep the process alive.
    return 0
  },
}

async function start(options: ProxyOptions, name: string | undefined): Promise<LocalProxy> {
  let local = ''
  const onEvent: ProxyOptions['onEvent'] = event => {
    const line = formatProxyEvent(event)
    if (line !== undefined) console.error(`${new Date().toISOString()} ${local} ${line}`)
  }
  const names = {
    'listen.socket': 'socket',
    'listen.host': 'listen',
    'listen.port': 'listen',
    tls: 'ca-file',
  }
  try {
    const started = await callWithFlags(() => startProxy({ ...options, onEvent }), names)
    local = addressOf(started)
    return started
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    // No password stands on a command line.
    const message = error.message.replace(/^- --password /m, `- ${passwordVariable} `)
    throw new UsageError(name === undefined ? message : `${name}: ${message}`)
  }
}

const addressOf = ({ host, port, socket }: LocalProxy): string => socket ?? `${host}:${port}`

/** The password is not in what is to be copied to a command line, where every user of the machine sees it. */
function announce(started: LocalProxy): void {
  const { engine, user, url, password, database, upstream } = started
  process.stdout.write(`${url}\n`)
  console.error(`${addressOf(started)} leads to ${upstream.host}:${upstream.port} as ${user}.`)
  const variable = (name: string) => (password === undefined ? '' : `${name}=${quoteForShell(password)} `)
  if (engine === 'postgres') {
    console.error(`  ${variable('PGPASSWORD')}psql ${quoteForShell(url.replace(/:[^:@/]+@/, '@'))}`)
  } else {
    const { socket, host, port } = started
    const where = socket === undefined ? `-h ${host} -P ${port}` : `-S ${quoteForShell(socket)}`
    const name = database === '' ? '' : ` ${quoteForShell(database)}`
    console.error(`  ${variable('MYSQL_PWD')}mysql ${where} -u ${quoteForShell(user)}${name}`)
  }
}

function readFlags(values: Values): Target {
  const { engine, port, endpoint, listen, socket, host, user, database } = values
  return {
    name: undefined,
    options: {
      engine: readEngine(engine ?? 'postgres'),
      host,
      port: port === undefined ? undefined : readNumber('--port', port),
      endpoint: endpoint === undefined ? undefined : readEndpoint('--endpoint', endpoint),
      user,
      database,
      listen: readListen('--listen', listen, '--socket', socket),
    },
  }
}

function refuseBoth(values: Values): void {
  const [flag] = Object.keys(targetFlags).filter(name => values[name as keyof Values] !== undefined)
  if (flag !== undefined) throw new UsageError(`--${flag} goes into the URL where there is one`)
}

function readPassword(values: Values): ProxyOptions['password'] {
  const given = readVariable(passwordVariable)
  if (values['no-password'] !== true) return given
  if (given === undefined) return false
  throw new UsageError(`--no-password and ${passwordVariable} contradict each other; give one of them`)
}

function readCommon(values: Values): Pick<ProxyOptions, 'region' | 'tls' | 'connectTimeoutMs'> {
  const { region, 'ca-file': caFile, 'connect-timeout-ms': timeout } = values
  return {
    region,
    ...(caFile !== undefined && { tls: { ca: readInput(`--ca-file ${caFile}`, caFile, String) } }),
    ...(timeout !== undefined && { connectTimeoutMs: readNumber('--connect-timeout-ms', timeout) }),
  }
}
