import type { Connection, Pool } from 'mysql2/promise'
import { mysqlDb } from '../../support/db.ts'
import { leavings } from './leave-mysql2.ts'
import type { FaultyDb } from './run.ts'

export const faultyMysql = (raw: Connection | Pool): FaultyDb => ({
  ...mysqlDb(raw as never),
  sleepQuery: 'SELECT SLEEP(30)',
  async destroy() {
    if ('getConnection' in raw) (await raw.getConnection()).destroy()
    else raw.destroy()
  },
  runOutOfTime: () => raw.query({ sql: 'SELECT SLEEP(30)', timeout: 50 }),
  leave: async (what, connection) => leavings[what]?.(connection as Connection),
})
