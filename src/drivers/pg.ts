import type { Client, Pool } from 'pg'
import { withDeadline } from '../deadline.ts'
import type { Settings } from '../settings.ts'
import type { Driver, PoolDriver } from './driver.ts'
import { destroy, IamPgClient, isBusy, isInTransaction, isUsable, resetSql } from './iam-pg-client.ts'
import { openPgPool } from './iam-pg-pool.ts'

/** One `pg.Client` for each physical connection. */
export function createPgDriver(settings: Settings): Driver<Client> {
  return {
    async connect(request) {
      const client = new IamPgClient(settings, request)
      await client.connect()
      return client
    },
    isUsable,
    isBusy,
    isInTransaction,
    ping,
    rollback: client => client.query('ROLLBACK'),
    reset: client => client.query(resetSql),
    close(client) {
      if (!isUsable(client) || isBusy(client)) destroy(client)
      else void client.end().catch(() => destroy(client))
    },
  }
}

/** A `pg.Pool`. */
export function createPgPoolDriver(settings: Settings): PoolDriver<Pool> {
  return {
    open: (tls, tokens) => openPgPool(settings, tls, tokens),
    isOpen: pool => !pool.ending,
    size: pool => pool.totalCount,
    inUse: pool => pool.totalCount - pool.idleCount,
    async warm(pool) {
      const client = await pool.connect()
      client.release()
    },
    async pingIdle(pool, timeoutMs) {
      const clients = await Promise.all(Array.from({ length: pool.idleCount }, () => pool.connect()))
      const pings = clients.map(async client => {
        try {
          await withDeadline(ping(client), timeoutMs, () => new Error('no answer'))
          client.release()
        } catch {
          destroy(client)
          client.release(true)
        }
      })
      await Promise.all(pings)
    },
  }
}

/** The empty query is the cheapest: the server neither parses nor plans. */
function ping(client: Client): Promise<unknown> {
  return client.query('')
}
