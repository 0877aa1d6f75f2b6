import type { Client } from 'pg'
import { protocolOf } from './internals.ts'
import { ask } from './statement.ts'

/**
 * Has a row where the server takes no writes. Whoever made the sessions of a user or a database read-only meant
 * that, and no other server would do better.
 *
 * @see https://www.postgresql.org/docs/current/view-pg-settings.html
 */
const readOnlySql = `SELECT 1 WHERE pg_is_in_recovery() OR EXISTS (SELECT 1 FROM pg_settings
  WHERE name = 'default_transaction_read_only' AND setting = 'on'
  AND source NOT IN ('database', 'user', 'database user', 'client', 'session'))`

/**
 * Listens to what the server of a client says of itself, before that connects.
 *
 * @param isPooled Whether a proxy stands between: it greets with what some server told it earlier, so that only
 * a query tells.
 * @returns Tells whether the server takes writes. A query asks PostgreSQL before 14, which does not say so at
 * login, and a server on which transactions are read-only by default, for the reason.
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
 */
export function watchRole(client: Client, isPooled = false): () => boolean | Promise<boolean> {
  let inHotStandby: string | undefined
  let isReadOnlyByDefault: string | undefined
  protocolOf(client).on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
    if (parameterName === 'in_hot_standby') inHotStandby = parameterValue
    if (parameterName === 'default_transaction_read_only') isReadOnlyByDefault = parameterValue
  })

  return () => {
    if (isPooled) return askRole(client)
    if (inHotStandby === 'on') return false
    return (inHotStandby === 'off' && isReadOnlyByDefault === 'off') || askRole(client)
  }
}

interface ParameterStatus {
  readonly parameterName: string
  readonly parameterValue: string
}

async function askRole(client: Client): Promise<boolean> {
  try {
    const { rows } = await ask(client, readOnlySql)
    return rows.length === 0
  } catch (error) {
    // What cannot tell is taken as it is; what was lost meanwhile is not.
    if ((error as { severity?: string }).severity === 'ERROR') return true
    throw error
  }
}
