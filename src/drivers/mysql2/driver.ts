import type { Connection } from 'mysql2/promise'
import type { Access } from '../../access/access.ts'
import type { IamMysqlPool } from '../../options/mysql2-options.ts'
import type { Settings } from '../../options/settings.ts'
import type { Connect, CreatePool } from '../driver.ts'
import { type ClientSettings, openConnection } from './connection.ts'
import { createMysqlPool } from './pool.ts'
import { sessionOf } from './session.ts'

/** One connection of `mysql2/promise` for each physical connection. */
export function createMysqlConnect(settings: ClientSettings): Connect<Connection> {
  return async request => {
    const core = await openConnection(settings, request)
    return { connection: core.promise(), session: sessionOf(core) }
  }
}

/** A pool of `mysql2/promise`. */
export function createMysqlPoolOpener(access: Access, settings: Settings): CreatePool<IamMysqlPool> {
  return askerNow => createMysqlPool({ access, settings, askerNow })
}
