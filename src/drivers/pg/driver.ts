import type { Client } from 'pg'
import type { Callers } from '../callers.ts'
import type { Connect } from '../driver.ts'
import { beginsTransaction, warnOfSharedTransaction } from '../shared-transaction.ts'
import { type ClientSettings, IamPgClient } from './client.ts'
import { isRunning, runningSql } from './internals.ts'
import { destroy, sessionOf } from './session.ts'

/** One `pg.Client` for each physical connection. */
export function createPgConnect(settings: ClientSettings, callers?: Callers): Connect<Client> {
  return async request => {
    const client = new IamPgClient(settings, request, callers)
    watchCallers(client)
    request.signal?.addEventListener('abort', () => destroy(client))
    await client.connect()
    return { connection: client, session: sessionOf(client) }
  }
}

/**
 * An invocation has one client for all that it does. A query that is sent while another one runs comes from
 * somebody else, or is one that pg itself warns of.
 */
function watchCallers(client: Client): void {
  const { query } = client
  client.query = ((...given: Parameters<Client['query']>) => {
    if (isRunning(client) && (client.getTransactionStatus() !== 'I' || beginsTransaction(runningSql(client))))
      warnOfSharedTransaction('iamPgPool')
    return query(...given)
  }) as Client['query']
}
