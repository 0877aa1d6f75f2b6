import { createTokenSource, trustedTls } from 'middy-rds-iam'
import { createLoginSource, type LoginOptions } from 'middy-rds-iam/login-source'
import type { ProxyEvent } from '../proxy/events.ts'
import { startProxy } from '../proxy/proxy.ts'
import { callWithFlags } from './arguments.ts'
import { type ClientEnvironment, clientEnvironment, proxyEnvironment } from './client-environment.ts'
import type { MysqlClientOptions } from './mysql-option-file.ts'
import { formatProxyEvent } from './proxy-line.ts'

/** How a command reaches a database. */
export interface ExecTarget {
  readonly engine: 'postgres' | 'mysql'
  readonly address: Omit<MysqlClientOptions, 'caFile'>
  /** The authorities to verify the server against, PEM; nothing where the proxy does. */
  readonly ca: string | undefined
  /** @param caFile The file that the authorities were written to. */
  environment(caFile: string | undefined): ClientEnvironment
  close(): Promise<void>
}

/** How the command line names options. */
const flags = { 'tls.ca': 'ca-file' }

/**
 * Signs a token for the command to connect with by itself, or starts a proxy for it to connect through.
 *
 * @throws {UsageError} Where an option is wrong or missing.
 * @throws {RdsIamError} Where there are no credentials, or no authorities.
 */
export async function openTarget(
  engine: ExecTarget['engine'],
  options: LoginOptions,
  { proxy }: { readonly proxy: boolean },
): Promise<ExecTarget> {
  const { target } = await callWithFlags(() => createLoginSource(engine, options), flags)
  const { host, port, user, database, endpoint } = target
  const { region, tls } = options
  // Also for the proxy, so that a command that could not connect is not started.
  const token = await createTokenSource({ ...endpoint, user, region })()
  if (proxy) return startProxyForCommand(engine, options)
  const ca = (await trustedTls({ host, region, tls })).ca.join('\n')
  const client = { engine, host, port, user, database, token }
  return {
    engine,
    address: target,
    ca,
    environment: file => ({
      ...clientEnvironment({ ...client, trust: { file, text: ca } }),
      // A driver of Node's would give the token to any server, whatever the URL says.
      NODE_TLS_REJECT_UNAUTHORIZED: '',
    }),
    close: async () => {},
  }
}

async function startProxyForCommand(
  engine: ExecTarget['engine'],
  options: LoginOptions,
): Promise<ExecTarget> {
  const proxy = await callWithFlags(() => startProxy({ engine, ...options, onEvent: tellTrouble }))
  return {
    engine,
    address: proxy,
    ca: undefined,
    environment: () => proxyEnvironment(engine, proxy.environment),
    close: () => proxy.close(),
  }
}

/** Many a tool hides why it could not connect. */
function tellTrouble(event: ProxyEvent): void {
  if (
    event.event === 'session:failed' ||
    event.event === 'client:refused' ||
    event.event === 'trust:incomplete'
  )
    console.error(`rds-iam exec: ${formatProxyEvent(event)}`)
}
