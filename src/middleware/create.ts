import { createClientLender } from '../connection/client-source.ts'
import { createConnector } from '../connection/connector.ts'
import { createPoolLender } from '../connection/pool-source.ts'
import type { Lender } from '../connection/source.ts'
import type { Driver, PoolDriver } from '../drivers/driver.ts'
import { elapsedMs, report } from '../events/emit.ts'
import { isLambda } from '../options/environment.ts'
import { type Engine, readSettings, type Settings } from '../options/settings.ts'
import { createTokenCache, type TokenCache } from '../token/cache.ts'
import { createSigner } from '../token/signer.ts'
import type { Token } from '../token/token.ts'
import { createTrust, type TrustSource } from '../trust/verified-tls.ts'
import { createMiddleware, type RdsIamMiddleware } from './middleware.ts'
import { closeAtShutdown } from './shutdown.ts'

/** @see https://tc39.es/ecma262/#sec-time-values-and-time-range */
const lastDateMs = 8.64e15

/** What all connections of one middleware share. */
interface Shared {
  readonly settings: Settings
  readonly tokens: TokenCache
  readonly trust: TrustSource
}

/** A middleware that lends each invocation a connection of its own. */
export function assembleClient<Key extends string, Connection extends object>(
  engine: Engine,
  options: unknown,
  createDriver: (settings: Settings) => Driver<Connection>,
): RdsIamMiddleware<Key, Connection> {
  const shared = share(engine, options)
  const driver = createDriver(shared.settings)
  return attach(
    engine,
    shared,
    createClientLender(driver, createConnector({ driver, ...shared }), shared.settings),
  )
}

/** A middleware that lends all invocations one pool. */
export function assemblePool<Key extends string, Pool extends object>(
  engine: Engine,
  options: unknown,
  createDriver: (settings: Settings) => PoolDriver<Pool>,
): RdsIamMiddleware<Key, Pool> {
  const shared = share(engine, options)
  return attach(engine, shared, createPoolLender({ driver: createDriver(shared.settings), ...shared }))
}

function share(engine: Engine, options: unknown): Shared {
  const settings = readSettings(engine, options)
  const { endpoint, region, user, credentials, signer } = settings
  const request = { ...endpoint, region, user }
  const sign = reportSigning(createSigner({ request, credentials, signer }), settings)
  return {
    settings,
    tokens: createTokenCache(sign, settings.tokenMarginMs),
    trust: createTrust(settings),
  }
}

function reportSigning(sign: () => Promise<Token>, settings: Settings): () => Promise<Token> {
  return async () => {
    const startedMs = performance.now()
    const token = await sign()
    // A signer of the user's may give its tokens any lifetime, also one that no date can say.
    const expiresAt = new Date(Math.min(token.expiresAtMs, lastDateMs)).toISOString()
    report(settings, { event: 'token:signed', durationMs: elapsedMs(startedMs), expiresAt })
    return token
  }
}

function attach<Key extends string, Connection extends object>(
  { middleware }: Engine,
  { settings }: Shared,
  lender: Lender<Connection>,
): RdsIamMiddleware<Key, Connection> {
  if (isLambda()) {
    if (settings.prefetch) lender.prefetch()
    closeAtShutdown(lender)
  }
  return createMiddleware(middleware, settings.contextKey, lender)
}
