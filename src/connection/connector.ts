import type { Driver } from '../drivers/driver.ts'
import { elapsedMs, report } from '../events/emit.ts'
import type { Settings } from '../options/settings.ts'
import { type Asker, createRetry } from '../retries/retry.ts'
import { type Clock, systemClock } from '../time/clock.ts'
import { withDeadline } from '../time/deadline.ts'
import { lendToken, type TokenLending } from '../token/attempt-token.ts'
import type { TokenCache } from '../token/cache.ts'
import type { TrustSource } from '../trust/verified-tls.ts'

/** Opens one physical connection before a deadline, or throws one `RdsIamError`. */
export type Connector<Connection> = (asker: Asker) => Promise<Connection>

/** What opening a connection takes. */
export interface ConnectorParts<Connection> {
  readonly driver: Driver<Connection>
  readonly settings: Settings
  readonly trust: TrustSource
  readonly tokens: TokenCache
  /** @default the system's */
  readonly clock?: Clock
}

export function createConnector<Connection>(parts: ConnectorParts<Connection>): Connector<Connection> {
  const { driver, settings, trust, tokens, clock = systemClock } = parts

  const connectOnce = async (
    deadlineMs: number,
    lending: TokenLending,
    late: () => Error,
  ): Promise<Connection> => {
    const leftMs = () => deadlineMs - clock.now()
    if (leftMs() <= 0) throw late()
    const tls = await withDeadline(trust(), leftMs(), late)
    let isConnected = false
    const connecting = driver.connect({
      tls,
      timeoutMs: Math.max(1, leftMs()),
      // A handler that authenticates again does so long after.
      token: async () => (isConnected ? (await tokens.get()).token : lending.take()),
    })
    lending.prepare()
    const connection = await connecting
    isConnected = true
    return connection
  }

  return async asker => {
    const retry = createRetry(settings, asker, clock)
    const late = outOfTime(settings, asker.deadlineMs, clock)
    for (;;) {
      const lending = lendToken(tokens)
      const startedMs = performance.now()
      try {
        const connection = await connectOnce(asker.deadlineMs, lending, late)
        const durationMs = elapsedMs(startedMs)
        report(settings, { event: 'connection:opened', durationMs, tokenReused: lending.isReused() })
        return connection
      } catch (error) {
        await retry(error, lending)
      }
    }
  }
}

/** What to say once the time is over: that it did not suffice, or that from the start there was none. */
export function outOfTime(
  { connectTimeoutMs }: Settings,
  deadlineMs: number,
  clock: Clock = systemClock,
): () => Error {
  const hadTime = deadlineMs > clock.now()
  return () =>
    new Error(
      hadTime
        ? `no connection within ${connectTimeoutMs} ms, or the time that the invocation had left`
        : 'the invocation has no time left to connect',
    )
}
