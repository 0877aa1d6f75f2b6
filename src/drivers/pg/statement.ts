import type { Submittable } from 'pg'
import Client from 'pg/lib/client.js'
import { enqueue, hasWaiting, protocolOf } from './internals.ts'

const ignore = (): void => {}

/**
 * Sends a statement of this package's own at once, behind whatever the server still has to end, and without
 * what concerns the handler's queries: time limits, contexts, the record of what was sent.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SIMPLE-QUERY
 */
export function send(client: Client, sql: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // pg waits for its turn to submit a query. The server takes it before that, and answers in turn.
    const waits = hasWaiting(client)
    if (!waits) protocolOf(client).query(sql)
    enqueue(client, {
      submit(connection) {
        if (waits) connection.query(sql)
        return null
      },
      handleRowDescription: ignore,
      handleDataRow: ignore,
      handleCommandComplete: ignore,
      handleEmptyQuery: ignore,
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    })
  })
}

/** Asks for rows, of which the record of what was sent knows nothing. */
export function ask(
  client: Client,
  ...query: readonly unknown[]
): Promise<{ readonly rows: readonly unknown[] }> {
  return (Client.prototype.query as (...query: readonly unknown[]) => Promise<never>).apply(
    client,
    query as [],
  )
}

/** Sends a query again that somebody sent before. A cursor or a stream is its user's, and was read. */
export async function sendAgain(client: Client, query: readonly unknown[]): Promise<void> {
  if (typeof (query[0] as Partial<Submittable>).submit !== 'function') await ask(client, ...query)
}
