import type { Client } from 'pg'
import type { Access } from '../../access/access.ts'
import type { IamPgPool } from '../../options/pg-options.ts'
import type { Settings } from '../../options/settings.ts'
import type { Connect, CreatePool } from '../driver.ts'
import { type ClientSettings, IamPgClient } from './client.ts'
import { createPgPool } from './pool.ts'
import { sessionOf } from './session.ts'

/** One `pg.Client` for each physical connection. */
export function createPgConnect(settings: ClientSettings): Connect<Client> {
  return async request => {
    const client = new IamPgClient(settings, request)
    await client.connect()
    return { connection: client, session: sessionOf(client) }
  }
}

/** A `pg.Pool`. */
export function createPgPoolOpener(access: Access, settings: Settings): CreatePool<IamPgPool> {
  return askerNow => createPgPool({ access, settings, askerNow })
}
