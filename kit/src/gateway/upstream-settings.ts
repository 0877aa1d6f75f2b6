import * as tls from 'node:tls'
import { type Checks, pemProblem } from 'middy-rds-iam/options'
import { type Given, readPort } from './given.ts'
import { isLoopback } from './loopback.ts'
import type { GatewayUpstream } from './options.ts'
import type { Upstream, UpstreamTls } from './upstream.ts'

/** Reads where the real server is, and how it is reached. */
export function readUpstream(checks: Checks, value: unknown): Upstream {
  if (value === undefined) checks.complain('upstream', 'is missing; give { port }')
  const form = 'of the form { host?, port, password?, ca? }'
  const upstream: Given = checks.object('upstream', value, form) ?? {}
  checks.known(upstream, ['host', 'port', 'password', 'ca'], 'upstream.')
  const { password } = upstream
  // A text that is wrong may be a password all the same.
  if (password !== undefined && typeof password !== 'function') checks.secret('upstream.password', password)
  const host = checks.host('upstream.host', upstream.host) ?? '127.0.0.1'
  return {
    host,
    port: value === undefined ? 0 : readPort(checks, 'upstream.port', upstream.port),
    password:
      typeof password === 'function'
        ? (password as Exclude<GatewayUpstream['password'], string | undefined>)
        : () => password as string | undefined,
    tls: readTls(checks, host, upstream.ca),
  }
}

function readTls(checks: Checks, host: string, value: unknown): UpstreamTls | undefined {
  const isNear = isLoopback(host)
  if (isNear && value === undefined) return undefined
  const text = value === undefined ? undefined : checks.secret('upstream.ca', value)
  const problem = text === undefined || text === '' ? undefined : pemProblem(text)
  if (problem !== undefined) checks.complain('upstream.ca', problem)
  const ca = problem === undefined ? text : undefined
  return {
    secureContext: tls.createSecureContext({ ca: ca ?? knownAuthorities(), minVersion: 'TLSv1.2' }),
    // MySQL and MariaDB make certificates for themselves that name no host. On loopback, where plain text is
    // safe, it is enough that the certificate comes from the authority that was named.
    checksName: !isNear,
  }
}

/** Node's own and those of this machine; a Node.js before 22.15 knows only its own. */
function knownAuthorities(): string[] | undefined {
  if (tls.getCACertificates === undefined) return undefined
  return [...tls.getCACertificates('default'), ...tls.getCACertificates('system')]
}
