import { withDeadline } from '../deadline.ts'
import { diagnose } from '../diagnosis.ts'
import type { Driver } from '../drivers/driver.ts'
import { attemptOf, type Settings } from '../settings.ts'
import { type LentToken, lendOnce, type TokenCache } from '../token/cache.ts'
import type { TrustSource } from '../trust/verified-tls.ts'

/** Opens one physical connection before a deadline, or throws one `RdsIamError`. */
export type Connector<Connection> = (deadlineMs: number, account: string | undefined) => Promise<Connection>

/** What opening a connection takes. */
export interface ConnectorParts<Connection> {
  readonly driver: Driver<Connection>
  readonly settings: Settings
  readonly trust: TrustSource
  readonly tokens: TokenCache
}

export function createConnector<Connection>(parts: ConnectorParts<Connection>): Connector<Connection> {
  const { driver, settings, trust, tokens } = parts

  const connectOnce = async (deadlineMs: number, use: { lent?: LentToken }): Promise<Connection> => {
    const timeoutMs = deadlineMs - Date.now()
    if (timeoutMs <= 0) throw noTimeLeft(settings.connectTimeoutMs)
    const tls = await withDeadline(trust(), timeoutMs, () => noTimeLeft(settings.connectTimeoutMs))
    const lending = lendOnce(tokens)
    const connecting = driver.connect({
      tls,
      timeoutMs: Math.max(1, deadlineMs - Date.now()),
      token: async () => {
        use.lent = await lending()
        return use.lent.token
      },
    })
    // The socket is on its way: sign meanwhile. Whoever waits for the token hears of a failure.
    lending().catch(() => {})
    return connecting
  }

  return async (deadlineMs, account) => {
    const attempt = attemptOf(settings, account)
    for (let replaced = false; ; replaced = true) {
      const use: { lent?: LentToken } = {}
      try {
        const startedMs = Date.now()
        const connection = await connectOnce(deadlineMs, use)
        settings.logger?.debug('Database connection opened', {
          host: settings.host,
          database: settings.database,
          user: settings.user,
          durationMs: Date.now() - startedMs,
        })
        return connection
      } catch (error) {
        const failure = diagnose(error, attempt)
        const isRefused = failure.code === 'RDS_IAM_ACCESS_DENIED'
        const mayRetry = isRefused && use.lent !== undefined && tokens.refuse(use.lent)
        if (!mayRetry || replaced) throw failure
      }
    }
  }
}

export function noTimeLeft(connectTimeoutMs: number): Error {
  return new Error(
    `no connection within connectTimeoutMs (${connectTimeoutMs}) and the time that the invocation has left`,
  )
}
