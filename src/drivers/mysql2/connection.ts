import { connect, type Socket } from 'node:net'
import mysql, { type ConnectionOptions, type Connection as CoreConnection } from 'mysql2'
import { RdsIamError } from '../../errors/rds-iam-error.ts'
import type { Settings } from '../../options/settings.ts'
import type { PlainTls } from '../../trust/plain-tls.ts'
import type { Callers } from '../callers.ts'
import type { ConnectRequest } from '../driver.ts'
import { createAuthPlugins, type TokenFor } from './auth.ts'
import { destroy } from './internals.ts'
import { createSession } from './session.ts'

/** What a connection is told of the settings. */
export type ClientSettings = Pick<
  Settings,
  'host' | 'port' | 'user' | 'database' | 'endpoint' | 'client' | 'isResetChosen'
>

/** What the options of mysql2's connections are made of, beside the settings. */
export interface ConnectionParts {
  readonly tls: PlainTls
  readonly timeoutMs: number
  readonly tokenFor: TokenFor
  /** Called when a connection begins to dial, with mysql2's configuration of that connection. */
  readonly onDial?: (config: object) => void
}

/** Opens one connection that authenticates with a token, and leaves nothing behind where it fails. */
export function openConnection(
  settings: ClientSettings,
  { tls, timeoutMs, token, signal }: ConnectRequest,
  callers?: Callers,
): Promise<CoreConnection> {
  return new Promise((resolve, reject) => {
    const core = mysql.createConnection(connectionOptions(settings, { tls, timeoutMs, tokenFor: token }))
    // Without a listener, the process would end with the connection.
    core.on('error', () => {})
    // mysql2 tells nobody of a connection that is destroyed.
    signal?.addEventListener('abort', () => {
      destroy(core)
      reject(new Error('the connection was given up'))
    })
    core.connect(error => {
      if (error === null) {
        createSession(core, settings, callers)
        resolve(core)
      } else {
        destroy(core)
        reject(reasonOf(error))
      }
    })
  })
}

/** The error of this package where it is what made the driver's connection fail. */
export function reasonOf(error: Error): Error {
  return error.cause instanceof RdsIamError ? error.cause : error
}

/** The options by which mysql2 dials one address, verifies the other, and asks for a token. */
export function connectionOptions(settings: ClientSettings, parts: ConnectionParts): ConnectionOptions {
  const { endpoint, user, database, client } = settings
  const { tls, timeoutMs, tokenFor, onDial } = parts
  const options: ConnectionOptions = {
    ...client,
    // The certificate is compared with this name alone, whatever is dialled.
    host: endpoint.host,
    port: endpoint.port,
    user,
    // As it is, not a copy: mysql2 keeps TLS sessions and its context for the object.
    ssl: tls,
    connectTimeout: timeoutMs,
    authPlugins: createAuthPlugins(settings, tokenFor),
    stream: ({ config }: { config: object }) => {
      onDial?.(config)
      return dial(settings)
    },
  }
  if (database !== '') options.database = database
  return options
}

/** mysql2 sets up no socket but those that it opens itself. */
function dial({ host, port, client }: ClientSettings): Socket {
  const { enableKeepAlive, keepAliveInitialDelay, localAddress } = client as ConnectionOptions
  return connect({
    host,
    port,
    noDelay: true,
    keepAlive: enableKeepAlive !== false,
    ...(keepAliveInitialDelay === undefined ? {} : { keepAliveInitialDelay }),
    ...(localAddress === undefined ? {} : { localAddress }),
  })
}
