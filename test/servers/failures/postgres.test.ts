// What PostgreSQL says to whom it does not let in, and the gateway in place of RDS.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import pg from 'pg'
import type { Postgres } from '../../../kit/src/database/postgres.ts'
import { type Gateway, type GatewayOptions, makeAuthority } from '../../../kit/src/index.ts'
import type { TokenUse } from '../../../src/errors/failure.ts'
import { startGateway } from '../../support/gateway.ts'
import { startRdsFront } from '../../support/rds-front.ts'
import { startRelay } from '../../support/relay.ts'
import { startPostgres } from '../../support/servers.ts'
import { startTlsPostgres } from '../../support/tls-postgres.ts'
import { assertFails, type Options } from './connecting.ts'
import { gatewayDistrusts, gatewayRefused, knownFailures, saidByAnyServer, target } from './known.ts'

const { user, region } = target

// The names of databases are ways of being asked; where the server asks first, there need not be such a database.
const { server, ca } = await startTlsPostgres(
  [
    'hostnossl orders,closed,private,full,stuck,writing,nowhere all 127.0.0.1/32 trust',
    `hostssl clear ${user} all password`,
    `hostssl scram ${user} all scram-sha-256`,
    `hostssl md5 ${user} all md5`,
    `hostssl rejected ${user} all reject`,
  ].join('\n'),
)
for (const name of ['orders', 'closed', 'private', 'full', 'stuck', 'writing'])
  await server.query(`CREATE DATABASE "${name}"`)
await server.query(
  `SET client_min_messages = error;
   CREATE USER ${user} PASSWORD 'md5${'0'.repeat(32)}'; CREATE USER sleeper NOLOGIN; CREATE USER single CONNECTION LIMIT 0;
   ALTER DATABASE closed ALLOW_CONNECTIONS false; ALTER DATABASE "full" CONNECTION LIMIT 0;
   REVOKE CONNECT ON DATABASE private FROM PUBLIC`,
)
/** Has whoever logs in to a database run something first, for as long as it takes; where the server can do so. */
const atLogin = async (name: string, sql: string): Promise<boolean> => {
  const trigger =
    'CREATE EVENT TRIGGER greet ON login EXECUTE FUNCTION greet(); ALTER EVENT TRIGGER greet ENABLE ALWAYS'
  try {
    await server.query(
      `CREATE FUNCTION greet() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN ${sql}; END $$; ${trigger}`,
      name,
    )
    return true
  } catch (error) {
    if (/unrecognized event name/.test(String(error))) return false
    throw error
  }
}
const canDelay = await atLogin(
  'stuck',
  'IF session_user <> $u$postgres$u$ THEN PERFORM pg_sleep(3600); END IF',
)
await server.query('CREATE TABLE visit (at timestamptz); GRANT INSERT ON visit TO PUBLIC', 'writing')
await atLogin('writing', 'INSERT INTO visit VALUES (now())')
await server.query('ALTER DATABASE writing SET default_transaction_read_only = on')

/** A gateway, and the options by which it is reached. */
interface Opened {
  readonly gateway: Gateway
  readonly options: Options
}

async function open(options: Partial<GatewayOptions> = {}): Promise<Opened> {
  const gateway = await startGateway({ upstream: { port: server.port }, region, ...options })
  after(() => gateway.close())
  return { gateway, options: { port: gateway.port, tls: { ca: gateway.ca } } }
}

const { options: through } = await open()
const direct: Options = { port: server.port, tls: { ca } }

/** Keeps sessions open until the end of the test, or of the file. */
async function hold(port: number, count: number, name: string = user): Promise<void> {
  for (let held = 0; held < count; held += 1) {
    const client = new pg.Client({ host: '127.0.0.1', port, user: name, database: 'postgres', ssl: false })
    client.on('error', () => {})
    await client.connect()
    after(() => client.end().catch(() => {}))
  }
}

/** The session that waits in its login to the database `stuck`. */
async function findStuck(): Promise<number> {
  for (;;) {
    const [row] = await server.query(
      `SELECT pid FROM pg_stat_activity WHERE datname = 'stuck' AND wait_event = 'PgSleep'`,
    )
    if (row !== undefined) return Number(row.pid)
    await turn()
  }
}

// Of eight places, three are for superusers, two for reserved connections where there is such a thing, and three
// for everybody.
const [reserved] = await server.query(`SELECT FROM pg_settings WHERE name = 'reserved_connections'`)
const canReserve = reserved !== undefined
const crowded = await startPostgres({
  maxConnections: canReserve ? 8 : 6,
  ...(canReserve && { settings: { reserved_connections: 2 } }),
})
after(() => crowded.stop())
await crowded.query(`CREATE USER ${user}`)
const { options: throughCrowded } = await open({ upstream: { port: crowded.port } })
await hold(crowded.port, 3)

/** A server that says the same to everybody, at once. */
async function startTelling(words: string): Promise<Options> {
  const telling = createServer(socket => socket.on('error', () => {}).end(words)).listen(0, '127.0.0.1')
  await once(telling, 'listening')
  after(() => telling.close())
  return { ...direct, port: (telling.address() as { port: number }).port }
}

/** Waits until a server refuses everybody in these words: it is told to, or goes through others, a moment before. */
async function waitForRefusal(refusing: Postgres, words: string): Promise<void> {
  for (;;) {
    const message = await refusing.query('SELECT 1').then(
      () => '',
      (error: Error) => error.message,
    )
    if (message === words) return
    await turn()
  }
}

/** A standby that has nobody to follow: it goes on answering in these words. */
async function startStandby(settings: Readonly<Record<string, string>>, words: string): Promise<Options> {
  const standby = await startPostgres({ isStandby: true, settings: { ...settings, primary_conninfo: '' } })
  after(() => standby.stop())
  await waitForRefusal(standby, words)
  return (await open({ upstream: { port: standby.port } })).options
}

const allow = (...resources: readonly string[]) => ({
  resourceId: 'db-ABCDEFGHIJKL01234',
  document: {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: resources }],
  },
})

/** Why RDS refuses a token, for which it has one answer. */
const refusals: Readonly<Record<string, () => Promise<Opened>>> = {
  'a policy for another database': () =>
    open({ policy: allow(`arn:aws:rds-db:${region}:123456789012:dbuser:db-ZYXWVUTSRQPON98765/${user}`) }),
  'a policy for another user': () =>
    open({ policy: allow(`arn:aws:rds-db:${region}:123456789012:dbuser:db-ABCDEFGHIJKL01234/Orders_app`) }),
  'a token that expired': () => open({ now: () => Date.now() + 16 * 60_000 }),
  'a token for another Region': () => open({ region: 'eu-central-1' }),
  'a token for the port of a tunnel': async () => {
    const { gateway, options } = await open()
    return { gateway, options: { ...options, port: (await startRelay(gateway.port)).port } }
  },
  'a token signed by a stranger': async () => {
    const { gateway, options } = await open()
    return {
      gateway,
      options: { ...options, credentials: { accessKeyId: 'stranger', secretAccessKey: 'secret' } },
    }
  },
  'too many connections in this second': async () => {
    const now = Date.now()
    const { gateway, options } = await open({ maxConnectionsPerSecond: 1, now: () => now })
    await assertFails('postgres', 'database "orders" does not exist', { ...options, database: 'nowhere' })
    assert.equal(gateway.stats().admitted, 1)
    return { gateway, options }
  },
}

for (const [reason, prepare] of Object.entries(refusals)) {
  test(`says which ARN the role needs for ${reason}`, async () => {
    const { gateway, options } = await prepare()
    await assertFails('postgres', 'PAM authentication failed for user "orders_app"', options)
    assert.equal(gateway.stats().refused, 1)
  })
}

interface Provocation {
  readonly options: Options
  /** What happens while the connection is on its way. */
  readonly meanwhile?: () => Promise<unknown>
  /** What becomes of the token, where the same words mean two things. */
  readonly use?: TokenUse
}

/** How the server is brought to each of its answers, in an order that some of them need. */
const provocations: Readonly<Record<string, () => Promise<Provocation> | Provocation>> = {
  'no pg_hba.conf entry for host "…", user "orders_app", database "orders", no encryption': async () => {
    // Over TLS that ends on the way.
    const front = await startRdsFront('postgres', server.port)
    after(front.close)
    return { options: { port: front.port, tls: { ca: front.ca }, database: 'unlisted' } }
  },
  'no pg_hba.conf entry for host "…", user "orders_app", database "orders", SSL encryption': () => ({
    options: { ...direct, database: 'unlisted' },
  }),
  'pg_hba.conf rejects connection for host "…", user "orders_app", database "orders", SSL encryption':
    () => ({
      options: { ...direct, database: 'rejected' },
    }),
  'unrecognized configuration parameter "…"': () => ({
    options: { ...through, client: { options: '-c statement_timeoot=1' } },
  }),
  'invalid value for parameter "…": "…"': () => ({
    options: { ...through, client: { options: '-c DateStyle=of_today' } },
  }),
  // In PostgreSQL's own bytes; no server is brought so low here.
  'could not fork new process for connection: …': async () => ({
    options: await startTelling(
      'Ecould not fork new process for connection: Resource temporarily unavailable\n\0',
    ),
  }),
  'password authentication failed for user "orders_app"': () => ({
    options: { ...direct, database: 'clear' },
    use: 'sent',
  }),
  'The server asked for a password by SCRAM, not for a token': () => ({
    options: { ...direct, database: 'scram' },
  }),
  'The server asked for a password by MD5, not for a token': () => ({
    options: { ...direct, database: 'md5' },
  }),
  'role "orders_app" does not exist': () => ({ options: { ...through, user: 'nobody_app' } }),
  'role "orders_app" is not permitted to log in': () => ({ options: { ...through, user: 'sleeper' } }),
  'too many connections for role "orders_app"': () => ({ options: { ...through, user: 'single' } }),
  'too many connections for database "orders"': () => ({ options: { ...through, database: 'full' } }),
  'remaining connection slots are reserved for roles with privileges of the "pg_use_reserved_connections" role':
    () => ({
      options: throughCrowded,
    }),
  'remaining connection slots are reserved for roles with the SUPERUSER attribute': async () => {
    await hold(crowded.port, 3, 'postgres')
    return { options: throughCrowded }
  },
  'remaining connection slots are reserved for non-replication superuser connections': () => ({
    options: throughCrowded,
  }),
  'sorry, too many clients already': async () => {
    await hold(crowded.port, canReserve ? 5 : 3, 'postgres')
    return { options: throughCrowded }
  },
  'the database system is starting up': async () => ({
    options: await startStandby({ restore_command: 'sleep 3600' }, 'the database system is starting up'),
  }),
  'the database system is not accepting connections': async () => {
    const settings = { hot_standby: 'off', restore_command: 'false' }
    return { options: await startStandby(settings, 'the database system is not accepting connections') }
  },
  'the database system is shutting down': async () => {
    const leaving = await startPostgres()
    after(() => leaving.stop())
    await hold(leaving.port, 1, 'postgres')
    const { options } = await open({ upstream: { port: leaving.port } })
    // It waits for its sessions, and takes no other.
    process.kill(leaving.pid, 'SIGTERM')
    await waitForRefusal(leaving, 'the database system is shutting down')
    return { options }
  },
  'terminating connection due to administrator command': () => ({
    options: { ...through, database: 'stuck' },
    meanwhile: async () => server.query(`SELECT pg_terminate_backend(${await findStuck()}, 5000)`),
  }),
  'Connection terminated unexpectedly': async () => {
    const { gateway, options } = await open()
    return {
      options: { ...options, database: 'stuck' },
      meanwhile: async () => {
        await findStuck()
        await gateway.close()
      },
    }
  },
  'database "orders" does not exist': () => ({ options: { ...through, database: 'nowhere' } }),
  'permission denied for database "orders"': () => ({ options: { ...through, database: 'private' } }),
  'database "orders" is not currently accepting connections': () => ({
    options: { ...through, database: 'closed' },
  }),
  'cannot execute … in a read-only transaction': () => ({ options: { ...through, database: 'writing' } }),
  [gatewayRefused]: () => ({ options: { ...through, database: 'unlisted' } }),
  [gatewayDistrusts]: async () => ({
    options: (await open({ upstream: { port: server.port, ca: (await makeAuthority('stranger')).ca } }))
      .options,
  }),
}

const withTriggers = canDelay ? false : 'this server has no triggers at login'
const withReserved = canReserve ? false : 'this server reserves connections in other words'
const without = canReserve ? 'this server reserves connections in other words' : false

/** What not every server can be made to say, and why. */
const unsaid: Readonly<Record<string, string | false>> = {
  'terminating connection due to administrator command': withTriggers,
  'Connection terminated unexpectedly': withTriggers,
  'cannot execute … in a read-only transaction': withTriggers,
  'remaining connection slots are reserved for roles with privileges of the "pg_use_reserved_connections" role':
    withReserved,
  'remaining connection slots are reserved for roles with the SUPERUSER attribute': withReserved,
  'remaining connection slots are reserved for non-replication superuser connections': without,
}

for (const [literal, provoke] of Object.entries(provocations)) {
  test(`names what to do about "${literal}"`, { skip: unsaid[literal] ?? false }, async () => {
    const { options, meanwhile, use } = await provoke()
    await Promise.all([assertFails('postgres', literal, options, use), meanwhile?.()])
  })
}

test('has made the server say all that the table says of it', () => {
  const rows = knownFailures.filter(({ engines, from }) => engines.join() === 'postgres' && from === 'server')
  const elsewhere = ['PAM authentication failed for user "orders_app"', ...saidByAnyServer.postgres]
  assert.deepEqual(
    [...Object.keys(provocations), ...elsewhere].sort(),
    rows.map(({ message }) => message).sort(),
  )
})
