import { createClientLender } from './connection/client-lender.ts'
import { createConnector } from './connection/connector.ts'
import type { Lender } from './connection/lender.ts'
import { createPoolLender } from './connection/pool-lender.ts'
import type { Driver, PoolDriver } from './drivers/driver.ts'
import { isLambda } from './environment.ts'
import { createMiddleware, type RdsIamMiddleware } from './middleware.ts'
import { type Engine, readSettings, type Settings } from './settings.ts'
import { createTokenCache, type TokenCache } from './token/cache.ts'
import { createSigner } from './token/signer.ts'
import { createTrust, type TrustSource } from './trust/verified-tls.ts'

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
  return {
    settings,
    tokens: createTokenCache(createSigner({ request, credentials, signer }), settings.tokenMarginMs),
    trust: createTrust(settings),
  }
}

function attach<Key extends string, Connection extends object>(
  { middleware }: Engine,
  { settings }: Shared,
  lender: Lender<Connection>,
): RdsIamMiddleware<Key, Connection> {
  if (settings.prefetch && isLambda()) lender.prefetch()
  return createMiddleware(middleware, settings.contextKey, lender)
}
