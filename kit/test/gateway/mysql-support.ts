import { Duplex } from 'node:stream'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type * as tls from 'node:tls'
import mysql from 'mysql2/promise'
import { findMysqlKinds } from '../../../test/support/database.ts'
import { startMysql } from '../../../test/support/servers.ts'
import type { Mysql, MysqlKind } from '../../src/database/mysql.ts'
import type { Gateway, GatewayOptions } from '../../src/index.ts'
import { type Fixture, openGateway, openTls, openWire, type Scope, signToken, type Wire } from './support.ts'

/**
 * Says the same of every kind of server that there is on this machine; where one is missing, says so.
 *
 * @param tests What they say; `isLast` is true once, for what the server has no part in.
 */
export async function describeMysql(
  scope: Scope,
  tests: (server: Mysql, isLast: boolean) => void,
): Promise<void> {
  const { kinds, missing } = findMysqlKinds()
  await describeEach(scope, kinds, tests)
  if (missing !== '') it('MySQL and MariaDB', { skip: missing }, () => {})
}

/** Says it of one server that there is on this machine, whichever it is. */
export async function describeAnyMysql(scope: Scope, tests: (server: Mysql) => void): Promise<void> {
  const { kinds, missing } = findMysqlKinds()
  await describeEach(scope, kinds.slice(-1), tests)
  if (kinds.length === 0) it('MySQL or MariaDB', { skip: missing }, () => {})
}

async function describeEach(
  scope: Scope,
  kinds: readonly MysqlKind[],
  tests: (server: Mysql, isLast: boolean) => void,
): Promise<void> {
  // All of them before the first test is told of: that one does not wait for the rest of the file.
  const servers = await Promise.all(kinds.map(kind => openMysql(scope, kind)))
  for (const [index, server] of servers.entries())
    describe(`${server.kind} ${server.version}`, () => tests(server, index === servers.length - 1))
}

/** A server that ends when the test file does, with the users that tests log in as. */
export async function openMysql(scope: Scope, kind?: MysqlKind): Promise<Mysql> {
  const server = await startMysql(kind === undefined ? {} : { kind })
  scope.after(() => server.stop())
  await server.query('CREATE DATABASE orders; CREATE DATABASE other')
  for (const user of ['app', 'App', 'Zoë'])
    await server.query(`CREATE USER '${user}'@'%'; GRANT ALL ON *.* TO '${user}'@'%'`)
  return server
}

/** Starts a gateway for MySQL that ends with the test. */
export function openMysqlGateway(
  scope: Scope,
  upstream: { readonly port: number },
  options: Partial<GatewayOptions> = {},
): Promise<Fixture> {
  return openGateway(scope, upstream, { engine: 'mysql', ...options })
}

type Token = string | Buffer | ((user: string) => string | Promise<string>)

/** Connects with mysql2; a token is signed for the user that the session is for, unless another one is given. */
export async function connectMysql(
  gateway: Gateway,
  { user = 'app', ...overrides }: mysql.ConnectionOptions = {},
  token: Token = username => signToken(gateway, { username }),
): Promise<mysql.Connection> {
  const answer = async (): Promise<Buffer> => {
    if (Buffer.isBuffer(token)) return token
    return Buffer.from(`${typeof token === 'string' ? token : await token(user)}\0`)
  }
  const connection = await mysql.createConnection({
    host: 'localhost',
    port: gateway.port,
    user,
    database: 'orders',
    ssl: { ca: gateway.ca, verifyIdentity: true } as mysql.SslOptions,
    authPlugins: { mysql_clear_password: () => answer },
    ...overrides,
  })
  connection.on('error', () => {})
  return connection
}

export interface MysqlError extends Error {
  readonly code: string
  readonly errno: number
  readonly sqlState: string
}

/** Connects, and gives the error where that fails. */
export async function tryMysql(...args: Parameters<typeof connectMysql>): Promise<MysqlError | undefined> {
  try {
    await (await connectMysql(...args)).end()
    return undefined
  } catch (error) {
    return error as MysqlError
  }
}

/** The first row of a result. */
export async function queryRow(
  connection: mysql.Connection,
  sql: string,
  values?: unknown[],
): Promise<Record<string, unknown> | undefined> {
  const [rows] = await connection.query(sql, values)
  return (rows as Record<string, unknown>[])[0]
}

// What clients offer, written out by hand.
export const flags = {
  connectWithDatabase: 0x8,
  compress: 0x20,
  localFiles: 0x80,
  ssl: 0x800,
  pluginAuth: 0x80000,
  /** LONG_PASSWORD, LONG_FLAG, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH. */
  usual: 0x1 | 0x4 | 0x200 | 0x2000 | 0x8000 | 0x10000 | 0x20000 | 0x80000,
}

export function packet(sequence: number, ...parts: (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map(part => Buffer.from(part as string)))
  const head = Buffer.alloc(4)
  head.writeUIntLE(body.length, 0, 3)
  head[3] = sequence
  return Buffer.concat([head, body])
}

function front(capabilities: number, charset: number): Buffer {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32LE(capabilities >>> 0)
  bytes.writeUInt32LE(0x40000000, 4)
  bytes[8] = charset
  return bytes
}

/** What clients send, written out by hand. */
export const packets = {
  sslRequest: (sequence = 1): Buffer => packet(sequence, front(flags.usual | flags.ssl, 45)),
  response: ({
    user = Buffer.from('app') as Buffer | string,
    capabilities = flags.usual | flags.ssl,
    charset = 45,
    sequence = 2,
    rest = '' as Buffer | string,
    plugin = 'mysql_native_password',
  } = {}): Buffer => packet(sequence, front(capabilities, charset), user, '\0', '\0', rest, `${plugin}\0`),
  token: (text: string, sequence = 4): Buffer => packet(sequence, `${text}\0`),
  query: (sql: string): Buffer => packet(0, '\x03', sql),
  changeUser: (user: string, sequence = 0): Buffer =>
    packet(sequence, '\x11', user, '\0\0', 'other\0', Buffer.of(45, 0), 'mysql_native_password\0'),
}

/** A client that speaks the protocol by hand. */
export interface MysqlWire extends Wire {
  takePacket(): Promise<{ readonly sequence: number; readonly body: Buffer }>
}

function withPackets<T extends Wire>(wire: T): T & MysqlWire {
  return {
    ...wire,
    async takePacket() {
      const head = await wire.take(4)
      return { sequence: head[3] ?? 0, body: await wire.take(head.readUIntLE(0, 3)) }
    },
  }
}

/** A TCP connection that has not been greeted yet. */
export async function openMysqlWire(t: Scope, gateway: Gateway): Promise<MysqlWire> {
  return withPackets(await openWire(t, gateway.port))
}

/** TLS as MySQL has it: the greeting, SSLRequest, handshake. */
export async function openMysqlTls(t: Scope, gateway: Gateway): Promise<MysqlWire> {
  const plain = await openMysqlWire(t, gateway)
  await plain.takePacket()
  plain.socket.write(packets.sslRequest())
  plain.socket.removeAllListeners('data')
  return withPackets(await openTls(t, { socket: plain.socket, ca: gateway.ca }))
}

/** Goes on to a session. */
export async function openMysqlSession(t: Scope, gateway: Gateway, capabilities = 0): Promise<MysqlWire> {
  const wire = await openMysqlTls(t, gateway)
  wire.socket.write(packets.response({ capabilities: flags.usual | flags.ssl | capabilities }))
  await wire.takePacket()
  wire.socket.write(packets.token(await signToken(gateway)))
  const { body } = await wire.takePacket()
  if (body[0] !== 0) throw new Error(`no session: ${body}`)
  return wire
}

/** TLS whose first flight comes in one piece with the request for it. */
export async function openGluedTls(t: Scope, gateway: Gateway): Promise<MysqlWire> {
  const plain = await openMysqlWire(t, gateway)
  await plain.takePacket()
  plain.socket.removeAllListeners('data')
  let glue: Buffer | undefined = packets.sslRequest()
  const under = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      plain.socket.write(glue === undefined ? chunk : Buffer.concat([glue, chunk]), done)
      glue = undefined
    },
    final: done => void plain.socket.end(done),
  })
  plain.socket.on('data', chunk => under.push(chunk)).on('end', () => under.push(null))
  return withPackets(await openTls(t, { socket: under as never, ca: gateway.ca } as tls.ConnectionOptions))
}

/** The number and the text of an error packet. */
export function parseError(body: Buffer): { readonly errno: number; readonly message: string } {
  if (body[0] !== 0xff) throw new Error(`no error: ${body}`)
  return { errno: body.readUInt16LE(1), message: body.toString('utf8', 3) }
}

/** Asks again in later turns of the event loop; the test runner's own limit ends what never becomes true. */
export async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await turn()
}
