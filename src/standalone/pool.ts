import { type Access, createAccess } from '../access/access.ts'
import { closeAtShutdown } from '../connection/shutdown.ts'
import type { CreatePool } from '../drivers/driver.ts'
import { isLambda } from '../options/environment.ts'
import { type Engine, readSettings, type Settings } from '../options/settings.ts'
import type { Asker } from '../retries/retry.ts'

// What ends a pool's connections lives as long as the pool.
const closables = new WeakMap<object, object>()

/**
 * Makes a pool that keeps every promise by itself: no middleware prepares it, and no invocation bounds it.
 *
 * @throws {RdsIamError} `RDS_IAM_OPTIONS`, naming every problem at once.
 */
export function createStandalonePool<Pool extends object>(
  engine: Engine,
  options: unknown,
  createOpener: (access: Access, settings: Settings) => CreatePool<Pool>,
): Pool {
  const settings = readSettings(engine, options, ['contextKey', 'wrap'])
  const access = createAccess(settings)
  const askerNow = (): Asker => ({
    deadlineMs: Date.now() + settings.connectTimeoutMs,
    account: undefined,
  })
  const { pool, warm, closeIdle } = createOpener(access, settings)(askerNow)
  if (isLambda()) {
    // Whoever asks for a connection first hears of what it failed with, by an attempt of its own.
    if (settings.prefetch) warm({ ...askerNow(), isAhead: true }).catch(() => {})
    const closable = { shutDown: closeIdle }
    closables.set(pool, closable)
    closeAtShutdown(closable)
  }
  return pool
}
