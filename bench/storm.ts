import { limitConnections } from '../kit/src/gateway/limit.ts'
import { type Access, createAccess } from '../src/access/access.ts'
import { createConnector } from '../src/connection/connector.ts'
import type { Connect, Session } from '../src/drivers/driver.ts'
import { postgresFailures } from '../src/errors/postgres-failures.ts'
import { readSettings, type Settings } from '../src/options/settings.ts'
import type { Clock } from '../src/time/clock.ts'
import { createTokenCache } from '../src/token/cache.ts'
import { createSigner } from '../src/token/signer.ts'
import type { SignerRequest } from '../src/token/signer-request.ts'
import type { VerifiedTls } from '../src/trust/verified-tls.ts'
import { createVirtualClock, seededRandom } from './virtual-clock.ts'

/** How the pauses between attempts come about: by this package, without any, or growing without chance. */
export type Strategy = 'full jitter' | 'immediate' | 'exponential'

/** Many execution environments that start at once. */
export interface Storm {
  readonly environments: number
  readonly perSecond: number
  /** What the server says when it throttles: that it does, or what it says to a wrong policy too. */
  readonly answer: 'throttled' | 'refused'
  /**
   * How the server limits: `even`, one connection every 1/n of a second, what is not taken being lost; or
   * `window`, n in any second, as the gateway does. Attempts that are turned away count in neither.
   */
  readonly limit: 'even' | 'window'
  readonly strategy: Strategy
  readonly seed: number
  /** Where to stop, so that nobody waits for what is hopeless. */
  readonly maxAttempts: number
}

export interface StormResult {
  readonly connected: number
  readonly elapsedMs: number
  readonly attempts: number
  /** Invocations that failed because their time was over; each environment is then invoked again at once. */
  readonly failedInvocations: number
  /** The longest that one invocation waited, in milliseconds. */
  readonly worstWaitMs: number
}

/**
 * A round trip through the network and the server's own work, in virtual milliseconds, and how much longer
 * one may take. Two make an attempt: to TLS, and to the answer.
 */
export const roundTrip = { minMs: 15, jitterMs: 10 }

/** What a server says to who is turned away. */
export const answers = {
  throttled: Object.assign(new Error('sorry, too many clients already'), { code: '53300' }),
  refused: Object.assign(new Error('PAM authentication failed for user "app"'), { code: '28000' }),
}

/**
 * Lets environments connect by the package's own connector, retries and tokens, through a simulated limit in
 * simulated time.
 */
export async function simulateStorm(storm: Storm): Promise<StormResult> {
  const clock = createVirtualClock(randomOf(storm))
  const startMs = clock.now()
  const pass =
    storm.limit === 'even' ? limitEvenly(storm.perSecond, startMs) : limitConnections(storm.perSecond)
  const settings = stormSettings(() => clock.now())
  // Networks have a jitter of their own, whatever the strategy.
  const networkRandom = seededRandom(storm.seed + 1)
  const travel = () => clock.sleep(roundTrip.minMs + networkRandom() * roundTrip.jitterMs)
  let attempts = 0
  let connected = 0
  let failedInvocations = 0
  let worstWaitMs = 0
  let lastMs = startMs

  const connectOnce: Connect<object> = async ({ token }) => {
    attempts += 1
    await travel()
    await token()
    const isAdmitted = pass(clock.now())
    await travel()
    if (!isAdmitted) throw answers[storm.answer]
    return { connection: {}, session: {} as Session }
  }

  const start = async (): Promise<void> => {
    const connect = createConnector({
      connect: connectOnce,
      access: createStormAccess(settings, clock),
      settings,
      clock,
    })
    for (let isConnected = false; !isConnected; ) {
      const invokedMs = clock.now()
      try {
        await connect({ deadlineMs: invokedMs + settings.connectTimeoutMs, account: undefined })
        isConnected = true
      } catch (error) {
        if ((error as Error).cause !== answers[storm.answer]) throw error
        failedInvocations += 1
      }
      worstWaitMs = Math.max(worstWaitMs, clock.now() - invokedMs)
    }
    connected += 1
    lastMs = clock.now()
  }

  const running = Array.from({ length: storm.environments }, start)
  const isStopped = () => attempts >= storm.maxAttempts
  await Promise.race([clock.run(isStopped), Promise.all(running).then(() => new Promise(() => {}))])
  const elapsedMs = (connected === storm.environments ? lastMs : clock.now()) - startMs
  return { connected, elapsedMs, attempts, failedInvocations, worstWaitMs }
}

/**
 * The strategies differ in chance alone: full jitter takes a random part of the pause, the others none or all
 * of it.
 */
function randomOf({ strategy, seed }: Storm): () => number {
  if (strategy === 'full jitter') return seededRandom(seed)
  return strategy === 'immediate' ? () => 0 : () => 1
}

export function limitEvenly(perSecond: number, startMs: number): (nowMs: number) => boolean {
  const slotMs = 1_000 / perSecond
  let nextMs = startMs
  return nowMs => {
    if (nowMs < nextMs) return false
    nextMs = Math.max(nextMs, nowMs - slotMs) + slotMs
    return true
  }
}

/** The access of one environment, whose time is simulated. */
export function createStormAccess(settings: Settings, clock: Clock): Access {
  const { endpoint, region, user, signer, tokenMarginMs } = settings
  const sign = createSigner({ request: { ...endpoint, region, user }, credentials: undefined, signer })
  return {
    ...createAccess(settings),
    trust: { tls: {} as VerifiedTls, load: async () => ({}) as VerifiedTls },
    tokens: createTokenCache(sign, tokenMarginMs, clock.now),
  }
}

/** The package's defaults. */
export function stormSettings(now: () => number): Settings {
  const engine = {
    factory: 'storm',
    defaultPort: 5432,
    caVariable: 'PGSSLROOTCERT',
    environment: { host: 'PGHOST', port: 'PGPORT', user: 'PGUSER', database: 'PGDATABASE' },
    defaultDatabase: (user: string) => user,
    ownedClientOptions: {},
    failures: postgresFailures,
  }
  const signer = ({ host, port, region, user }: SignerRequest): string => {
    const date = new Date(now()).toISOString().replace(/[-:]|\.\d{3}/g, '')
    const scope = encodeURIComponent(`key/${date.slice(0, 8)}/${region}/rds-db/aws4_request`)
    return (
      `${host}:${port}/?Action=connect&DBUser=${user}&X-Amz-Credential=${scope}&X-Amz-Date=${date}` +
      '&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=none'
    )
  }
  return readSettings(engine, { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', user: 'app', signer })
}
