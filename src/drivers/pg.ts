import type { Client, Pool } from 'pg'
import { withinAnswerTime } from '../deadline.ts'
import type { Settings } from '../settings.ts'
import type { Driver, PoolDriver } from './driver.ts'
import { abandon, destroy, IamPgClient, isBusy, isUsable, pgSession } from './iam-pg-client.ts'
import { closeLent, openPgPool, takeClient } from './iam-pg-pool.ts'
import { sessionsOf, whenRestored } from './session.ts'

/** One `pg.Client` for each physical connection. */
export function createPgDriver(settings: Settings): Driver<Client> {
  return {
    async connect(request) {
      const client = new IamPgClient(settings, request)
      await client.connect()
      return client
    },
    isUsable,
    ...pgSession,
    close(client) {
      if (!isUsable(client) || isBusy(client)) abandon(client)
      else void client.end().catch(() => destroy(client))
    },
  }
}

/** A `pg.Pool`. */
export function createPgPoolDriver(settings: Settings): PoolDriver<Pool> {
  return {
    open: (tls, tokens, askerNow) => openPgPool(settings, tls, tokens, askerNow),
    isOpen: pool => !pool.ending,
    size: pool => pool.totalCount,
    isTaking: pool => sessionsOf(pool).waiting.size > 0,
    closeLent,
    whenRestored,
    close: pool => void pool.end().catch(() => {}),
    async warm(pool, asker) {
      const client = await takeClient(pool, asker)
      client.release()
    },
    async pingIdle(pool, asker, timeoutMs) {
      const check = async (): Promise<void> => {
        const client = await takeClient(pool, asker)
        try {
          await withinAnswerTime(pgSession.ping(client), timeoutMs)
          client.release()
        } catch {
          destroy(client)
          client.release(true)
        }
      }
      // A connection that cannot be opened in the place of a dead one is not missed yet.
      await Promise.allSettled(Array.from({ length: pool.idleCount }, check))
    },
  }
}
