import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { RdsIamError } from 'middy-rds-iam'
import { isIpAddress } from 'middy-rds-iam/identifiers'
import { type Authority, makeAuthority } from './certificate.ts'
import type { GatewayStats } from './decision.ts'
import { makeGate } from './gate.ts'
import type { Site } from './handshake.ts'
import { serveMysql } from './mysql.ts'
import type { GatewayOptions } from './options.ts'
import { servePostgres } from './postgres.ts'
import { type GatewaySettings, readOptions } from './settings.ts'

/**
 * A gateway that listens.
 *
 * @example
 * ```ts
 * const gateway: Gateway = await startGateway({ upstream: { port: 5432 }, region: 'eu-west-1' })
 * console.log(gateway.port, gateway.stats().admitted)
 * await gateway.close()
 * ```
 */
export interface Gateway {
  /** The address that it listens on, for example `'127.0.0.1'`. */
  readonly host: string
  /** The port that it listens on, for example `6432`. */
  readonly port: number
  /**
   * The certificate of its own authority, PEM: what clients are to trust. Another one at each start, whose
   * private key is in memory only.
   */
  readonly ca: string
  /** Counts since the start. */
  readonly stats: () => GatewayStats
  /** Ends the listener and every connection, and resolves when nothing is left; calling it again is fine. */
  close(): Promise<void>
}

// The names under which a process on this machine, and one in a container on it, reach the gateway.
const ownNames = ['localhost', 'host.docker.internal']

/**
 * Starts a gateway in front of a PostgreSQL, MySQL or MariaDB server. It authenticates as Amazon RDS does
 * with IAM, over TLS.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS` (the promise rejects) where an option is wrong, naming all
 * problems, or where the address cannot be listened on. Beyond loopback, the stand-in key pair is such a
 * problem, unless the users and a policy are named.
 * @example
 * ```ts
 * const gateway = await startGateway({ upstream: { port: 5432 }, region: 'eu-west-1' })
 * // Connect to localhost:${gateway.port}, trusting gateway.ca, with a token signed by defaultkey and
 * // defaultsecret.
 * await gateway.close()
 * ```
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const settings = readOptions(options)
  return startWithAuthority(settings, await makeAuthority())
}

/**
 * Starts a gateway that has its certificate from an authority that is there already: to make one takes time.
 *
 * @internal
 */
export async function startWithAuthority(settings: GatewaySettings, authority: Authority): Promise<Gateway> {
  const addresses = isIpAddress(settings.host) ? [settings.host, '127.0.0.1', '::1'] : ['127.0.0.1', '::1']
  const names = isIpAddress(settings.host) ? ownNames : [...ownNames, settings.host.toLowerCase()]
  const hosts = settings.endpoints.map(endpoint => endpoint.host)
  const { cert, key } = await authority.issue({ names: [...names, ...hosts, ...addresses] })
  const secureContext = createSecureContext({
    cert,
    key,
    minVersion: 'TLSv1.2',
    sessionIdContext: 'rds-iam-gateway',
  })

  const held = new Set<Socket>()
  const clients = new Set<Socket>()
  const hold = (socket: Socket): void => {
    held.add(socket)
    // What broke is said by the `close` that follows; without a listener, it would end the process.
    socket.on('error', () => {})
    socket.once('close', () => held.delete(socket))
  }
  const server = createServer({ noDelay: true, keepAlive: true })
  const address = await listen(server, settings)
  const own = names.map(host => ({ host, port: address.port }))
  const gate = makeGate(settings, [...own, ...settings.endpoints])
  const { upstream, handshakeTimeoutMs } = settings
  const site: Site = { secureContext, upstream, gate, handshakeTimeoutMs, hold }
  const serve = settings.engine === 'mysql' ? serveMysql : servePostgres
  server.on('connection', socket => {
    hold(socket)
    clients.add(socket)
    socket.once('close', () => clients.delete(socket))
    void serve(socket, site)
  })
  // Running out of file descriptors, for example: connections that come later may work again.
  server.on('error', error =>
    process.emitWarning(`The gateway could not accept a connection: ${error.message}`),
  )

  let closing: Promise<void> | undefined
  return {
    host: address.address,
    port: address.port,
    ca: authority.ca,
    stats: () => ({ ...gate.counts(), open: clients.size }),
    close() {
      closing ??= end(server, held)
      return closing
    },
  }
}

async function listen(
  server: ReturnType<typeof createServer>,
  settings: GatewaySettings,
): Promise<AddressInfo> {
  try {
    server.listen(settings.port, settings.host)
    await once(server, 'listening')
    return server.address() as AddressInfo
  } catch (cause) {
    throw new RdsIamError(
      'RDS_IAM_OPTIONS',
      `The gateway cannot listen on ${settings.host}:${settings.port}: ${describeListening(cause)}`,
      { cause },
    )
  }
}

const listening: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use; give another one, or 0 for any that is free',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'this user may not; ports from 1024 on are for everybody',
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'the name cannot be looked up now',
}

function describeListening(cause: unknown): string {
  const { code = '', message } = cause as NodeJS.ErrnoException
  return listening[code] === undefined ? message : `${listening[code]} (${code})`
}

/**
 * Resolves once every socket has said that it is closed: the caller may wait for what a listener does then.
 */
async function end(server: ReturnType<typeof createServer>, held: ReadonlySet<Socket>): Promise<void> {
  const closed = [...held].map(socket => new Promise(resolve => socket.once('close', resolve)))
  closed.push(new Promise(resolve => server.close(resolve)))
  // TLS before the TCP under it: the other way round, where a TLS handshake has ended in this very turn, Node
  // crashes.
  for (const socket of [...held].reverse()) socket.destroy()
  await Promise.all(closed)
}
