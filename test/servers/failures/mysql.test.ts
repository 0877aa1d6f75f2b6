// What MySQL and MariaDB say to whom they do not let in, and the gateway in place of RDS.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, describe, test } from 'node:test'
import mysql from 'mysql2/promise'
import type { Mysql, MysqlKind, MysqlOptions } from '../../../kit/src/database/mysql.ts'
import { type Gateway, type GatewayOptions, makeAuthority } from '../../../kit/src/index.ts'
import { createMysqlUser } from '../../support/capabilities.ts'
import { findMysqlKinds } from '../../support/database.ts'
import { startGateway } from '../../support/gateway.ts'
import { startRdsFront } from '../../support/rds-front.ts'
import { holdTests } from '../../support/registration.ts'
import { startRelay } from '../../support/relay.ts'
import { startMysql } from '../../support/servers.ts'
import { speaksTls, startTlsMysql } from '../../support/tls-mysql.ts'
import { assertFails, type Options } from './connecting.ts'
import { gatewayDistrusts, gatewayRefused, knownFailures, saidByAnyServer, target } from './known.ts'

const allRegistered = holdTests()

const { user, region } = target
const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

/** A gateway, and the options by which it is reached. */
interface Opened {
  readonly gateway: Gateway
  readonly options: Options
}

async function open(
  { port, ca }: { readonly port: number; readonly ca?: string },
  options: Partial<GatewayOptions> = {},
): Promise<Opened> {
  const upstream = { port, ...(ca !== undefined && { ca }) }
  const gateway = await startGateway({ engine: 'mysql', upstream, region, ...options })
  after(() => gateway.close())
  return { gateway, options: { port: gateway.port, tls: { ca: gateway.ca } } }
}

/** A server of its own, for what concerns all of it. */
async function start(kind: MysqlKind, options: MysqlOptions = {}): Promise<Mysql> {
  const server = await startMysql({ kind, ...options })
  after(() => server.stop())
  return server
}

/** Keeps sessions open until the end of the test. */
async function hold({ port }: { readonly port: number }, name: string, count = 1): Promise<void> {
  for (let held = 0; held < count; ) {
    try {
      const connection = await mysql.createConnection({ host: '127.0.0.1', port, user: name })
      connection.on('error', () => {})
      after(() => connection.destroy())
      held += 1
    } catch (error) {
      // A session that has ended keeps its place for a moment.
      if ((error as NodeJS.ErrnoException).code !== 'ER_CON_COUNT_ERROR') throw error
    }
  }
}

const allow = (resource: string) => ({
  resourceId: 'db-ABCDEFGHIJKL01234',
  document: {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'rds-db:connect', Resource: resource }],
  },
})

const refused = "Access denied for user 'orders_app'@'…' (using password: YES)"
/** Said before the token was asked for, and also after it was taken. */
const ambiguous = [
  "Access denied for user 'orders_app'@'…' (using password: NO)",
  "Access denied for user 'orders_app'@'…'",
] as const

/** Why RDS refuses a token, for which it has one answer. */
const refusals: Readonly<Record<string, (server: Mysql) => Promise<Opened>>> = {
  'a policy for another database': server =>
    open(server, {
      policy: allow(`arn:aws:rds-db:${region}:123456789012:dbuser:db-ZYXWVUTSRQPON98765/${user}`),
    }),
  'a policy for another user': server =>
    open(server, {
      policy: allow(`arn:aws:rds-db:${region}:123456789012:dbuser:db-ABCDEFGHIJKL01234/Orders_app`),
    }),
  'a token that expired': server => open(server, { now: () => Date.now() + 16 * 60_000 }),
  'a token for another Region': server => open(server, { region: 'eu-central-1' }),
  'a token for the port of a tunnel': async server => {
    const { gateway, options } = await open(server)
    return { gateway, options: { ...options, port: (await startRelay(gateway.port)).port } }
  },
  'a token signed by a stranger': async server => {
    const { gateway, options } = await open(server)
    return {
      gateway,
      options: { ...options, credentials: { accessKeyId: 'stranger', secretAccessKey: 'secret' } },
    }
  },
  'too many connections in this second': async server => {
    const now = Date.now()
    const { gateway, options } = await open(server, { maxConnectionsPerSecond: 1, now: () => now })
    await assertFails('mysql', "Unknown database 'orders'", {
      ...options,
      user: 'manager',
      database: 'nowhere',
    })
    assert.equal(gateway.stats().admitted, 1)
    return { gateway, options }
  },
}

type Provoke = (server: Mysql, kind: MysqlKind) => Promise<Options>

/** Through a gateway, as somebody or to something. */
const through =
  (changes: Options = {}): Provoke =>
  async server => ({ ...(await open(server)).options, ...changes })

/** Over TLS that ends on the way, to a server that is heard in its own words. */
async function front(
  { port }: { readonly port: number },
  options: { readonly asksForToken?: boolean } = {},
): Promise<Options & { readonly port: number }> {
  const { ca, close, ...rest } = await startRdsFront('mysql', port, options)
  after(close)
  return { port: rest.port, tls: { ca } }
}

/** A server with TLS of its own, without a gateway before it. */
async function startTls(
  kind: MysqlKind,
  settings: Readonly<Record<string, string>> = {},
): Promise<{ readonly server: Mysql; readonly direct: Options }> {
  const { server, ca } = await startTlsMysql(kind, { 'loose-plugin-maturity': 'unknown', ...settings })
  await server.query('CREATE DATABASE orders')
  return { server, direct: { port: server.port, tls: { ca } } }
}

/** What the server says first to a client that comes from another address and leaves at once. */
async function greet(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: elsewhere })
  const [first] = await once(socket, 'data')
  socket.destroy()
  return String(first)
}

/** The address that a server counts no errors of is 127.0.0.1 alone. */
const elsewhere = '127.0.0.2'
const fromElsewhere: Options = {
  host: '127.0.0.1',
  endpoint: { host: 'localhost' },
  client: { localAddress: elsewhere },
}

const pluginOf = {
  mysql: (plugin: string) =>
    `CREATE USER ${user}; UPDATE mysql.user SET plugin = '${plugin}' WHERE user = '${user}'; FLUSH PRIVILEGES`,
  mariadb: (plugin: string) =>
    `CREATE USER ${user}; UPDATE mysql.global_priv SET priv = JSON_SET(priv, '$.plugin', '${plugin}') WHERE user = '${user}'; FLUSH PRIVILEGES`,
}

/** How a server is brought to each of its answers; one kind of server alone where only that has it. */
const provocations: Readonly<Record<string, Provoke | { readonly mariadb: Provoke }>> = {
  "Plugin 'AWSAuthenticationPlugin' is not loaded": async (_server, kind) => {
    const server = await start(kind)
    await server.query(pluginOf[kind]('AWSAuthenticationPlugin'))
    return front(server)
  },
  'Access denied, this account is locked': {
    mariadb: async server => {
      await server.query('CREATE USER locked ACCOUNT LOCK')
      return through({ user: 'locked' })(server, 'mariadb')
    },
  },
  'Your password has expired. To log in you must change it…': async (_server, kind) => {
    const server = await start(kind, { settings: { 'disconnect-on-expired-password': 'ON' } })
    await server.query(`CREATE DATABASE orders; CREATE USER ${user}; ALTER USER ${user} PASSWORD EXPIRE`)
    return front(server, { asksForToken: true })
  },
  'Server does not support secure connection': async server => ({ port: server.port }),
  [ambiguous[0]]: async server => ({ ...(await front(server, { asksForToken: true })), user: 'nobody_app' }),
  [ambiguous[1]]: {
    // It asks for what PAM is to check, which knows no such user, then looks for a socket.
    mariadb: async () => {
      const { server, direct } = await startTls('mariadb', {
        'plugin-load-add': 'auth_pam_v1',
        'loose-pam-use-cleartext-plugin': 'ON',
      })
      await server.query(`CREATE USER ${user} IDENTIFIED VIA pam OR unix_socket`)
      return direct
    },
  },
  'Server requests authentication using unknown plugin client_ed25519…': {
    mariadb: async () => {
      const { server, direct } = await startTls('mariadb')
      await server.query(
        `INSTALL SONAME 'auth_ed25519'; CREATE USER ${user} IDENTIFIED VIA ed25519 USING PASSWORD('secret')`,
      )
      return direct
    },
  },
  "Host '…' is not allowed to connect to this … server": async (_server, kind) => {
    const { port } = await start(kind)
    return { port, ...fromElsewhere }
  },
  'Too many connections': async (_server, kind) => {
    const server = await start(kind)
    await server.query('SET GLOBAL max_connections = 10')
    // One more than that is for the superuser.
    await hold(server, 'root', 11)
    return (await open(server)).options
  },
  "User orders_app already has more than 'max_user_connections' active connections": async (
    _server,
    kind,
  ) => {
    const server = await start(kind, { settings: { 'max-user-connections': 10 } })
    await server.query(`CREATE USER ${user}`)
    await hold(server, user, 10)
    return (await open(server)).options
  },
  "User 'orders_app' has exceeded the 'max_user_connections' resource (current value: …)": async server => {
    await createMysqlUser(server.query, 'single', 'WITH MAX_USER_CONNECTIONS 1')
    await hold(server, 'single')
    return { ...(await open(server)).options, user: 'single' }
  },
  "User 'orders_app' has exceeded the 'max_connections_per_hour' resource (current value: …)":
    async server => {
      await createMysqlUser(server.query, 'hourly', 'WITH MAX_CONNECTIONS_PER_HOUR 1')
      await hold(server, 'hourly')
      return { ...(await open(server)).options, user: 'hourly' }
    },
  'Server shutdown in progress': async () => (await open({ port: 1 })).options,
  "Host '…' is blocked because of many connection errors…": async (_server, kind) => {
    const server = await start(kind)
    await server.query(`SET GLOBAL max_connect_errors = 1; CREATE USER ${user}`)
    // The server counts a client that leaves in its greeting, a moment after it has left.
    while (!(await greet(server.port)).includes('is blocked'));
    return { port: server.port, ...fromElsewhere }
  },
  "Unknown database 'orders'": through({ user: 'manager', database: 'nowhere' }),
  "Access denied for user 'orders_app'@'…' to database 'orders'": through(),
  [gatewayRefused]: through({ user: 'nobody_app' }),
  [gatewayDistrusts]: async server => {
    const { port } = await front(server)
    const { ca } = await makeAuthority('stranger')
    return (await open({ port, ca })).options
  },
}

/** Whom a server refuses without asking for a token, in which words, and how the user is made. */
const withoutToken = [
  ['a user with a password', ambiguous[0], "IDENTIFIED BY 'secret'"],
  ['a user of a socket', ambiguous[1], 'IDENTIFIED VIA unix_socket'],
] as const

for (const kind of kinds) {
  const server = await startMysql({ kind })
  after(() => server.stop())
  await server.query(
    `CREATE DATABASE orders; CREATE USER ${user}; CREATE USER manager; GRANT ALL PRIVILEGES ON *.* TO manager`,
  )

  const hasTls = await speaksTls(server)

  describe(`${kind} ${server.version}`, () => {
    for (const [reason, prepare] of Object.entries(refusals)) {
      test(`says which ARN the role needs for ${reason}`, async () => {
        const { gateway, options } = await prepare(server)
        await assertFails('mysql', refused, options)
        assert.equal(gateway.stats().refused, 1)
      })
    }

    for (const [who, literal, identified] of withoutToken) {
      const skip =
        (!hasTls && 'this server speaks no TLS of today') ||
        (kind === 'mysql' && 'this server says so in other words')
      test(`names the SQL that makes an IAM user for ${who}, who was not asked for the token`, {
        skip,
      }, async () => {
        const { server, direct } = await startTls(kind)
        await server.query(`CREATE USER ${user} ${identified}`)
        await assertFails('mysql', literal, direct, 'unasked')
      })
    }

    test('takes the same words for a refused token once the token was sent: a user whose TLS ends on the way', async () => {
      await createMysqlUser(server.query, 'secure', 'REQUIRE SSL')
      const options = await front(server, { asksForToken: true })
      await assertFails('mysql', ambiguous[0], { ...options, user: 'secure' }, 'sent')
    })

    for (const [literal, provoke] of Object.entries(provocations)) {
      const here = typeof provoke === 'function' ? provoke : provoke[kind as 'mariadb']
      const isOfHost = literal.startsWith("Host '…'") && process.platform !== 'linux'
      const skip =
        (here === undefined && 'this server cannot say it') ||
        (isOfHost && `${elsewhere} is there on Linux alone`)
      test(`names what to do about "${literal}"`, { skip }, async () => {
        const use = ambiguous.some(words => words === literal) ? 'sent' : undefined
        await assertFails('mysql', literal, await (here as Provoke)(server, kind), use)
      })
    }
  })
}

test('has made the servers say all that the table says of them', () => {
  const rows = knownFailures.filter(({ engines, from }) => engines.join() === 'mysql' && from === 'server')
  assert.deepEqual(
    [...Object.keys(provocations), refused, ...ambiguous, ...saidByAnyServer.mysql].sort(),
    rows.map(({ message }) => message).sort(),
  )
})

allRegistered()
