import type { Connection } from 'mysql2/promise'
import type { Connect } from '../driver.ts'
import { type ClientSettings, openConnection } from './connection.ts'
import { sessionOf } from './session.ts'

/** One connection of `mysql2/promise` for each physical connection. */
export function createMysqlConnect(settings: ClientSettings): Connect<Connection> {
  return async request => {
    const core = await openConnection(settings, request)
    return { connection: core.promise(), session: sessionOf(core) }
  }
}
