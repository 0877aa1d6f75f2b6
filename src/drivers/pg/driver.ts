import type { Client, Pool } from 'pg'
import { elapsedMs, report } from '../../events/emit.ts'
import type { Settings } from '../../options/settings.ts'
import { withinAnswerTime } from '../../time/deadline.ts'
import type { Driver, PoolDriver } from '../driver.ts'
import { sessionsOf, whenRestored } from '../session.ts'
import { abandon, destroy, IamPgClient, isBusy, isUsable, pgSession } from './client.ts'
import { closeLent, dismiss, giveBackUnlent, openPgPool, takeClient } from './pool.ts'

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
    async close(client) {
      if (!isUsable(client) || isBusy(client)) abandon(client)
      else await client.end().catch(() => destroy(client))
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
      giveBackUnlent(await takeClient(pool, asker))
    },
    async pingIdle(pool, asker, silenceMs) {
      const check = async (): Promise<void> => {
        const client = await takeClient(pool, asker)
        const startedMs = performance.now()
        try {
          await withinAnswerTime(pgSession.ping(client), (asker.deadlineMs - Date.now()) / 2)
          report(settings, { event: 'connection:reused', silenceMs, durationMs: elapsedMs(startedMs) })
          giveBackUnlent(client)
        } catch {
          report(settings, { event: 'connection:closed', reason: 'silent', connections: 1 })
          destroy(client)
          dismiss(client)
        }
      }
      // A connection that cannot be opened in the place of a dead one is not missed yet.
      await Promise.allSettled(Array.from({ length: pool.idleCount }, check))
    },
    async closeIdle(pool) {
      const connections = pool.idleCount
      if (connections === 0) return
      report(settings, { event: 'connection:closed', reason: 'shutdown', connections })
      const close = async (): Promise<void> => {
        const client = await pool.connect()
        const ended = new Promise<void>(resolve => client.once('end', resolve))
        dismiss(client)
        await ended
      }
      await Promise.allSettled(Array.from({ length: connections }, close))
    },
  }
}
