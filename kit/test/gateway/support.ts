import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import * as tls from 'node:tls'
import { Signer } from '@aws-sdk/rds-signer'
import pg from 'pg'
import { startGateway } from '../../../test/support/gateway.ts'
import { startPostgres } from '../../../test/support/servers.ts'
import type { Postgres } from '../../src/database/postgres.ts'
import type { Decision, Gateway, GatewayOptions } from '../../src/index.ts'

export const region = 'eu-west-1'
export const standIn = { accessKeyId: 'defaultkey', secretAccessKey: 'defaultsecret' }

/** A test, or a whole file of tests: what is opened ends with it. */
export interface Scope {
  after(end: () => unknown): void
}

/** A gateway and what it has decided. */
export interface Fixture {
  readonly gateway: Gateway
  readonly decisions: Decision[]
}

/** Starts a gateway that ends with the test. */
export async function openGateway(
  t: Scope,
  upstream: { readonly port: number },
  options: Partial<GatewayOptions> = {},
): Promise<Fixture> {
  const decisions: Decision[] = []
  const gateway = await startGateway({
    upstream: { port: upstream.port },
    region,
    onDecision: decision => decisions.push(decision),
    ...options,
  })
  t.after(() => gateway.close())
  return { gateway, decisions }
}

/** A server that ends when the test file does, with the users that tests log in as. */
export async function openPostgres(scope: Scope): Promise<Postgres> {
  const postgres = await startPostgres()
  scope.after(() => postgres.stop())
  await postgres.query('CREATE USER app; CREATE USER "App"')
  await postgres.query('CREATE DATABASE orders')
  return postgres
}

type SignerOverrides = Partial<ConstructorParameters<typeof Signer>[0]>

/** Signs a token as an application does, with AWS's own signer. */
export function signToken(
  gateway: { readonly port: number },
  overrides: SignerOverrides = {},
): Promise<string> {
  return new Signer({
    hostname: 'localhost',
    port: gateway.port,
    username: 'app',
    region,
    credentials: standIn,
    ...overrides,
  }).getAuthToken()
}

/** A client that is not connected yet; what happens to it later is not of interest, so its errors are taken. */
export function makeClient(
  gateway: Gateway,
  password: string | (() => Promise<string>) = () => signToken(gateway),
  overrides: pg.ClientConfig = {},
): pg.Client {
  const client = new pg.Client({
    host: 'localhost',
    port: gateway.port,
    user: 'app',
    database: 'orders',
    password,
    ssl: { ca: gateway.ca },
    ...overrides,
  })
  client.on('error', () => {})
  return client
}

/** Connects, and gives the error where that fails. */
export async function tryConnect(client: pg.Client): Promise<pg.DatabaseError | undefined> {
  try {
    await client.connect()
    await client.end()
    return undefined
  } catch (error) {
    return error as pg.DatabaseError
  }
}

/** A socket for what no driver does: bytes go out as they are, and come in as they were sent. */
export interface Wire {
  readonly socket: Socket
  /** All that has come in and was not taken yet, once it is so many bytes. */
  take(size: number): Promise<Buffer>
  /** Everything until the other side closes. */
  rest(): Promise<Buffer>
}

export async function openWire(t: Scope, port: number): Promise<Wire> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  await once(socket, 'connect')
  return wrap(t, socket)
}

/** Goes on over TLS, on top of a socket or by itself. */
export async function openTls(
  t: Scope,
  options: tls.ConnectionOptions,
): Promise<Wire & { readonly socket: tls.TLSSocket }> {
  const socket = tls.connect({ servername: 'localhost', ...options })
  await once(socket, 'secureConnect')
  return { ...wrap(t, socket), socket }
}

/** TLS as PostgreSQL asks for it: SSLRequest, `S`, handshake. */
export async function openNegotiatedTls(t: Scope, gateway: Pick<Gateway, 'port' | 'ca'>) {
  const plain = await openWire(t, gateway.port)
  plain.socket.write(packets.sslRequest)
  const answer = await plain.take(1)
  if (answer.toString() !== 'S') throw new Error(`the answer to SSLRequest was ${answer}`)
  plain.socket.removeAllListeners('data')
  return openTls(t, { socket: plain.socket, ca: gateway.ca })
}

function wrap(t: Scope, socket: Socket): Wire {
  t.after(() => socket.destroy())
  let received = Buffer.alloc(0)
  let ended = false
  let wake = (): void => {}
  const end = (): void => {
    ended = true
    wake()
  }
  socket.on('error', () => {})
  socket.on('data', chunk => {
    received = Buffer.concat([received, chunk])
    wake()
  })
  socket.on('end', end).on('close', end)
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise<void>(resolve => (wake = resolve))
  }
  return {
    socket,
    async take(size) {
      await until(() => ended || received.length >= size)
      if (received.length < size)
        throw new Error(`the other side closed after ${JSON.stringify(received.toString())}`)
      const taken = received.subarray(0, size)
      received = received.subarray(size)
      return taken
    },
    async rest() {
      await until(() => ended)
      return received
    },
  }
}

function packet(code: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(8)
  head.writeInt32BE(body.length + 8)
  head.writeInt32BE(code, 4)
  return Buffer.concat([head, body])
}

/** What clients send, written out by hand. */
export const packets = {
  sslRequest: packet(80877103),
  gssRequest: packet(80877104),
  cancel: (id: number, key: number): Buffer => {
    const body = Buffer.alloc(8)
    body.writeInt32BE(id)
    body.writeInt32BE(key, 4)
    return packet(80877102, body)
  },
  startup: (
    parameters: Record<string, string> = { user: 'app', database: 'orders' },
    version = 0x30000,
  ): Buffer => packet(version, Buffer.from(`${Object.entries(parameters).flat().join('\0')}\0\0`)),
  password: (text: string): Buffer => message('p', Buffer.from(`${text}\0`)),
  query: (sql: string): Buffer => message('Q', Buffer.from(`${sql}\0`)),
  terminate: message('X', Buffer.alloc(0)),
}

export function message(type: string, body: Buffer): Buffer {
  const head = Buffer.from(`${type}0000`)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** The messages in a server's bytes, each with its type. */
export function parseMessages(bytes: Buffer): { readonly type: string; readonly body: string }[] {
  const messages: { type: string; body: string }[] = []
  for (let offset = 0; offset < bytes.length; ) {
    const end = offset + 1 + bytes.readInt32BE(offset + 1)
    messages.push({
      type: bytes.toString('latin1', offset, offset + 1),
      body: bytes.toString('utf8', offset + 5, end),
    })
    offset = end
  }
  return messages
}
