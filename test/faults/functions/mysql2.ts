import './process.ts'
import type { Connection, Pool } from 'mysql2/promise'
import { iamMysql, iamMysqlPool } from '../../../src/mysql2.ts'
import { mysqlDb } from '../../support/db.ts'
import { createHandler } from './handler.ts'

export const handler = createHandler({ iamMysql, iamMysqlPool }, (raw: Connection | Pool) => ({
  ...mysqlDb(raw as never),
  sleepQuery: 'SELECT SLEEP(30)',
  async destroy() {
    if ('getConnection' in raw) (await raw.getConnection()).destroy()
    else raw.destroy()
  },
  runOutOfTime: () => raw.query({ sql: 'SELECT SLEEP(30)', timeout: 50 }),
}))
