import { withDeadline } from '../deadline.ts'
import { diagnose } from '../diagnosis.ts'
import type { Driver } from '../drivers/driver.ts'
import { RdsIamError } from '../errors.ts'
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

  const connectOnce = async (deadlineMs: number, use: TokenUse): Promise<Connection> => {
    const late = outOfTime(settings, deadlineMs)
    if (deadlineMs <= Date.now()) throw late()
    const tls = await withDeadline(trust(), deadlineMs - Date.now(), late)
    const lending = lendOnce(tokens)
    let isConnected = false
    const connecting = driver.connect({
      tls,
      timeoutMs: Math.max(1, deadlineMs - Date.now()),
      token: async () => {
        use.isAsked = true
        // A handler that authenticates again does so long after.
        use.lent = await (isConnected ? tokens.get() : lending())
        return use.lent.token
      },
    })
    // The socket is on its way: sign meanwhile. Whoever waits for the token hears of a failure.
    lending().catch(() => {})
    const connection = await connecting
    isConnected = true
    return connection
  }

  return async (deadlineMs, account) => {
    const attempt = attemptOf(settings, account)
    for (let replaced = false; ; replaced = true) {
      const use: TokenUse = { isAsked: false }
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
        const failure = diagnose(explainDelay(error, use), attempt)
        const isRefused = failure.code === 'RDS_IAM_ACCESS_DENIED'
        const mayRetry = isRefused && use.lent !== undefined && tokens.refuse(use.lent)
        if (!mayRetry || replaced) throw failure
      }
    }
  }
}

/** What became of the token of one attempt. */
interface TokenUse {
  isAsked: boolean
  lent?: LentToken
}

/** A server that is kept waiting for the token is not to blame. */
function explainDelay(error: unknown, { isAsked, lent }: TokenUse): unknown {
  if (!isAsked || lent !== undefined || error instanceof RdsIamError) return error
  return new Error('signing did not finish in time', { cause: error })
}

/** What to say once the time is over: that it did not suffice, or that from the start there was none. */
export function outOfTime({ connectTimeoutMs }: Settings, deadlineMs: number): () => Error {
  const hadTime = deadlineMs > Date.now()
  return () =>
    new Error(
      hadTime
        ? `no connection within ${connectTimeoutMs} ms, or the time that the invocation had left`
        : 'the invocation has no time left to connect',
    )
}
