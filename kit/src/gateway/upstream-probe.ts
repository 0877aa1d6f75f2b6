import type { Socket } from 'node:net'
import { capability, neededCapabilities } from '../wire/mysql-capabilities.ts'
import { sslRequestLength } from '../wire/mysql-login.ts'
import { MysqlRefusal } from '../wire/mysql-packets.ts'
import { greetUpstream, secureMysql } from './mysql-upstream.ts'
import { askForTls } from './postgres-upstream.ts'
import type { GatewaySettings } from './settings.ts'
import {
  type Hold,
  reachUpstream,
  secureUpstream,
  type Upstream,
  UpstreamRefusal,
  withoutTls,
} from './upstream.ts'

const engines = {
  postgres: { probe: probePostgres, name: 'PostgreSQL', other: 'MySQL and MariaDB are the engine mysql' },
  mysql: { probe: probeMysql, name: 'MySQL or MariaDB', other: 'PostgreSQL is the engine postgres' },
} as const

/** What the network says where there is nobody to talk to. */
const unreachable = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']

/**
 * Looks whether the upstream is a database of the engine that can be reached and is trusted. Nobody logs in.
 *
 * @throws {Error} With what is wrong, and what to do.
 */
export async function probeUpstream({
  engine,
  upstream,
  handshakeTimeoutMs,
}: Pick<GatewaySettings, 'engine' | 'upstream' | 'handshakeTimeoutMs'>): Promise<void> {
  const { probe, name, other } = engines[engine]
  const held: Socket[] = []
  const end = (): void => {
    // TLS before the TCP under it.
    for (const socket of held.toReversed()) socket.destroy()
  }
  const timer = setTimeout(end, handshakeTimeoutMs / 2)
  try {
    await probe(upstream, socket => held.push(socket.on('error', () => {})))
  } catch (cause) {
    if (cause instanceof UpstreamRefusal) throw cause
    const where = `${upstream.host}:${upstream.port}`
    const { code = '' } = cause as NodeJS.ErrnoException
    throw new Error(
      unreachable.includes(code)
        ? `there is no server at ${where} (${code}): start it, or correct its address`
        : `the server at ${where} does not answer as ${name} in ${handshakeTimeoutMs / 2000} s: ${other}; no other servers are known`,
      { cause },
    )
  } finally {
    clearTimeout(timer)
    end()
  }
}

async function probePostgres(upstream: Upstream, hold: Hold): Promise<void> {
  const socket = await reachUpstream(upstream, hold)
  const speaksTls = await askForTls(socket)
  const { tls } = upstream
  if (tls === undefined) return
  if (!speaksTls) throw withoutTls(upstream)
  await secureUpstream(upstream, tls, socket, hold, ['postgresql'])
}

async function probeMysql(upstream: Upstream, hold: Hold): Promise<void> {
  try {
    const greeted = await greetUpstream(upstream, hold)
    const request = Buffer.alloc(sslRequestLength)
    request.writeUInt32LE((neededCapabilities | capability.ssl) >>> 0)
    await secureMysql(upstream, greeted, request, hold)
  } catch (error) {
    // Too many connections, for example: it is there.
    if (!(error instanceof MysqlRefusal)) throw error
  }
}
