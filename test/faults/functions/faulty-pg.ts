import type pg from 'pg'
import { pgDb } from '../../support/db.ts'
import { leavings } from './leave-pg.ts'
import type { FaultyDb } from './run.ts'

export const faultyPg = (raw: pg.Client | pg.Pool): FaultyDb => ({
  ...pgDb(raw),
  sleepQuery: 'SELECT pg_sleep(30)',
  // As handlers do that have had enough of a connection.
  async destroy() {
    if ('totalCount' in raw) (await raw.connect()).release(true)
    else (raw as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  },
  runOutOfTime: () =>
    raw.query({ text: 'SELECT pg_sleep(30)', query_timeout: 50 } as pg.QueryConfig & {
      query_timeout: number
    }),
  leave: async (what, connection) => leavings[what]?.(connection as pg.Client),
})
