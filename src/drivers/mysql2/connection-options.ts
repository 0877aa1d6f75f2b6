import { connect, type Socket } from 'node:net'
import type { ConnectionOptions } from 'mysql2'
import type { Settings } from '../../options/settings.ts'
import type { VerifiedTls } from '../../trust/verified-tls.ts'
import { createAuthPlugins, type TokenSource } from './auth.ts'

/** What the options of mysql2's connections are made of, beside the settings. */
export interface ConnectionParts {
  readonly tls: VerifiedTls
  readonly timeoutMs: number
  readonly token: TokenSource
  /** Called when a connection begins to dial, with mysql2's configuration of that connection. */
  readonly onDial?: (config: object) => void
}

/** The options by which mysql2 dials one address, verifies the other, and asks for a token. */
export function connectionOptions(settings: Settings, parts: ConnectionParts): ConnectionOptions {
  const { endpoint, user, database, client } = settings
  const { tls, timeoutMs, token, onDial } = parts
  const options: ConnectionOptions = {
    ...client,
    // The certificate is compared with this name alone, whatever is dialled.
    host: endpoint.host,
    port: endpoint.port,
    user,
    // As it is, not a copy: mysql2 keeps TLS sessions and its context for the object.
    ssl: tls,
    connectTimeout: timeoutMs,
    authPlugins: createAuthPlugins(settings, token),
    stream: ({ config }: { config: object }) => {
      onDial?.(config)
      return dial(settings)
    },
  }
  if (database !== '') options.database = database
  return options
}

/** mysql2 sets up no socket but those that it opens itself. */
function dial({ host, port, client }: Settings): Socket {
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
