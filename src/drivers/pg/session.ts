import type { Client } from 'pg'
import { withinAnswerTime } from '../../time/deadline.ts'
import type { Session } from '../driver.ts'
import { warnOfSharedTransaction } from '../shared-transaction.ts'
import { dropCallbacks, isOpen, isReady, isRunning, protocolOf, streamOf } from './internals.ts'

// https://www.postgresql.org/docs/current/errcodes-appendix.html: read_only_sql_transaction
const readOnlyError = '25006'
// active_sql_transaction: `there is already a transaction in progress`
const inTransactionWarning = '25001'

/**
 * What `DISCARD ALL` does, but for prepared statements and plans, which pg believes the server to keep.
 *
 * @see https://www.postgresql.org/docs/current/sql-discard.html
 */
const resetSql =
  'CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES'

const sessions = new WeakMap<Client, Session>()

/** The session of a client that {@link createSession} was called for. */
export function sessionOf(client: Client): Session {
  return sessions.get(client) as Session
}

/** Begins to look after the session of a client, before that connects. */
export function createSession(client: Client): Session {
  // After a failover the endpoint leads to another server, and only a new connection gets there.
  let isReadOnly = false
  protocolOf(client).on('errorMessage', ({ code }: { code?: string }) => {
    if (code === readOnlyError) isReadOnly = true
  })
  client.on('notice', ({ code }: { code?: string | undefined }) => {
    if (code === inTransactionWarning) warnOfSharedTransaction('iamPgPool')
  })

  const session: Session = {
    isUsable() {
      const { readable, writable, destroyed } = streamOf(client)
      return isOpen(client) && readable && writable && !destroyed && !isReadOnly
    },
    isBusy: () => isRunning(client),
    // pg lets go of a query at its error, before the server's ReadyForQuery.
    whenReady: () => (isReady(client) ? undefined : becomeReady(client)),
    isInTransaction: () => client.getTransactionStatus() !== 'I',
    // The empty query is the cheapest: the server neither parses nor plans.
    ping: () => client.query(''),
    rollback: () => client.query('ROLLBACK'),
    reset: () => client.query(resetSql),
    async close() {
      if (session.isUsable() && !isRunning(client)) {
        // Whoever waits for the end has it keep the process alive until then, but not for long.
        session.ref()
        await withinAnswerTime(client.end()).catch(() => destroy(client))
      } else {
        dropCallbacks(client)
        destroy(client)
      }
    },
    ref: () => void streamOf(client).ref(),
    unref: () => void streamOf(client).unref(),
  }
  sessions.set(client, session)
  return session
}

/** Ends the connection without waiting for anything. */
export function destroy(client: Client): void {
  streamOf(client).destroy()
}

function becomeReady(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      client.off('drain', settle).off('end', settle)
      if (sessionOf(client).isUsable()) resolve()
      else reject(new Error('the connection was lost'))
    }
    client.on('drain', settle).on('end', settle)
  })
}
