import type { ConnectionOptions, Connection as CoreConnection } from 'mysql2'
import type { Access } from '../../access/access.ts'
import type { Settings } from '../../options/settings.ts'
import type { Token } from '../../token/token.ts'
import { type PlainTls, plainTls } from '../../trust/plain-tls.ts'
import { requireIdentity } from '../../trust/verified-tls.ts'
import { connectionOptions } from './connection.ts'
import { streamOf, watchPackets } from './internals.ts'
import { readStatus } from './status.ts'

// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html: ER_ACCESS_DENIED_ERROR,
// ER_ACCESS_DENIED_NO_PASSWORD_ERROR
const refusals = [1045, 1698]

/** Options for connections that this package does not make. None of them holds a token. */
export function driverOptions(access: Access, settings: Settings): ConnectionOptions {
  const { tokens, target } = access

  const tokenFor = async (connection: CoreConnection): Promise<Token> => {
    const { host, ssl } = connection.config as { host?: unknown; ssl?: Partial<PlainTls> }
    const { ca } = access.trust.tls
    const isAsGiven =
      host === target.endpoint.host && ssl?.verifyIdentity === true && String(ssl.ca) === String(ca)
    requireIdentity(streamOf(connection), target.endpoint, ca, isAsGiven)
    const cached = await tokens.get()
    let isAnswered = false
    watchPackets(connection, (packet, command) => {
      if (isAnswered) return
      isAnswered = true
      const error = readStatus(packet, command)?.error
      if (error !== undefined && refusals.includes(error)) tokens.refuse(cached)
    })
    return cached.token
  }

  return connectionOptions(settings, {
    tls: { ...plainTls(access.trust.tls) },
    timeoutMs: settings.connectTimeoutMs,
    tokenFor,
  })
}
