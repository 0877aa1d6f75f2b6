import type { Client } from 'pg'
import type { Connect } from '../driver.ts'
import { type ClientSettings, IamPgClient } from './client.ts'
import { sessionOf } from './session.ts'

/** One `pg.Client` for each physical connection. */
export function createPgConnect(settings: ClientSettings): Connect<Client> {
  return async request => {
    const client = new IamPgClient(settings, request)
    await client.connect()
    return { connection: client, session: sessionOf(client) }
  }
}
