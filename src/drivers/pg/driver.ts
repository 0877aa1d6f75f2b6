import type { Client } from 'pg'
import type { Connect } from '../driver.ts'
import { beginsTransaction, warnOfSharedTransaction } from '../shared-transaction.ts'
import { type ClientSettings, IamPgClient } from './client.ts'
import { isRunning, runningSql } from './internals.ts'
import { sessionOf } from './session.ts'

/**
 * A client that one invocation has for all its callers. A query that is sent while another one runs is another
 * caller's, or one that pg itself warns of.
 */
class SharedClient extends IamPgClient {
  override query = ((...given: Parameters<Client['query']>) => {
    if (isRunning(this) && (this.getTransactionStatus() !== 'I' || beginsTransaction(runningSql(this))))
      warnOfSharedTransaction('iamPgPool')
    return super.query(...given)
  }) as Client['query']
}

/** One `pg.Client` for each physical connection. */
export function createPgConnect(settings: ClientSettings): Connect<Client> {
  return async request => {
    const client = new SharedClient(settings, request)
    await client.connect()
    return { connection: client, session: sessionOf(client) }
  }
}
