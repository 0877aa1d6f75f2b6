import type { Client } from 'pg'
import { withinAnswerTime } from '../../time/deadline.ts'
import type { Session } from '../driver.ts'
import { warnOfSharedTransaction } from '../shared-transaction.ts'
import {
  dropQueries,
  endsCursor,
  forgetStatements,
  isOpen,
  isReady,
  isRunning,
  protocolOf,
  streamOf,
} from './internals.ts'
import { watchRole } from './role.ts'
import { send, sendAgain } from './statement.ts'

// https://www.postgresql.org/docs/current/errcodes-appendix.html: active_sql_transaction,
// `there is already a transaction in progress`
const inTransactionWarning = '25001'

/**
 * What `DISCARD ALL` does, but for prepared statements and plans, which pg believes the server to keep.
 *
 * @see https://www.postgresql.org/docs/current/sql-discard.html
 */
const resetSql =
  'CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES'

/** The session of a client of PostgreSQL. */
export interface PgSession extends Session {
  /**
   * Takes note of a query that is sent.
   *
   * @returns Is to be called where it fails, if that matters.
   */
  record(query: readonly unknown[]): (() => void) | undefined
}

const sessions = new WeakMap<Client, PgSession>()

/** The session of a client that {@link createSession} was called for. */
export function sessionOf(client: Client): PgSession {
  return sessions.get(client) as PgSession
}

/**
 * Begins to look after the session of a client, before that connects.
 *
 * @param leave Forgets what its user left in this process.
 * @param isPooled Whether a proxy stands before the server.
 */
export function createSession(client: Client, leave: () => void, isPooled: boolean): PgSession {
  let isTouched = false
  let hasBegun = false
  let hasPrepared = false
  const beginning: (readonly unknown[])[] = []
  // Of no use to anybody any more: only a new connection puts it right.
  let isSpent = false
  protocolOf(client).on('errorMessage', (error: ServerError) => {
    if (spends(error)) isSpent = true
  })
  client.on('notice', ({ code }: { code?: string | undefined }) => {
    if (code === inTransactionWarning) warnOfSharedTransaction('iamPgPool')
  })

  const session: PgSession = {
    user: undefined,
    restoration: undefined,
    begin() {
      hasBegun = true
    },
    record(query) {
      if (prepares(query[0])) hasPrepared = true
      if (hasBegun) {
        isTouched = true
        return undefined
      }
      const sent = query.filter(part => typeof part !== 'function')
      beginning.push(sent)
      return () => void beginning.splice(beginning.indexOf(sent), 1)
    },
    isUsable() {
      const { readable, writable, destroyed } = streamOf(client)
      return isOpen(client) && readable && writable && !destroyed && !isSpent
    },
    isBusy: () => isRunning(client) && !endsCursor(client),
    isEnding: () => isRunning(client),
    isInTransaction() {
      if (client.getTransactionStatus() !== 'I') return true
      // pg lets go of a query at its error, before the server's ReadyForQuery, which tells the state.
      return isReady(client) || isRunning(client) ? false : undefined
    },
    isTouched: () => isTouched,
    takesWrites: watchRole(client, isPooled),
    // The empty query is the cheapest: the server neither parses nor plans.
    ping: () => send(client, ''),
    async restore({ rollback, reset, before }) {
      if (reset) isTouched = false
      if (before !== undefined) await before
      const statements = [...(rollback ? ['ROLLBACK'] : []), ...(reset ? [resetSql] : [])]
      if (reset && hasPrepared) {
        // The names are those of whoever prepared them; pg's own are prepared again.
        statements.push('DEALLOCATE ALL')
        forgetStatements(client)
        hasPrepared = false
      }
      const restored = send(client, statements.join('; '))
      await Promise.all([restored, ...(reset ? beginning.map(query => sendAgain(client, query)) : [])])
      return false
    },
    canReset: () => true,
    leave,
    async close() {
      // pg does not end politely what it takes for busy.
      if (session.restoration !== undefined) await withinAnswerTime(session.restoration).catch(() => {})
      if (session.isUsable() && !isRunning(client)) {
        // Whoever waits for the end has it keep the process alive until then, but not for long.
        session.ref()
        await withinAnswerTime(client.end()).catch(() => destroy(client))
      } else {
        dropQueries(client)
        destroy(client)
      }
    },
    ref: () => void streamOf(client).ref(),
    unref: () => void streamOf(client).unref(),
  }
  sessions.set(client, session)
  return session
}

/** Whether a query may prepare statements by SQL, whose names stay on the session. */
function prepares(query: unknown): boolean {
  const text = typeof query === 'string' ? query : (query as { text?: unknown } | null)?.text
  return typeof text === 'string' && /\bprepare\b/i.test(text)
}

interface ServerError {
  readonly code?: string
  readonly message?: string
}

/**
 * Whether an error comes back for as long as the connection lives.
 *
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
function spends({ code, message = '' }: ServerError): boolean {
  switch (code) {
    // read_only_sql_transaction: after a failover the endpoint leads to another server.
    case '25006':
    // invalid_sql_statement_name: pg takes a statement for prepared that the server does not know.
    case '26000':
      return true
    // feature_not_supported: the table of a prepared statement has changed.
    case '0A000':
      return message.includes('cached plan must not change result type')
    default:
      return false
  }
}

/** Ends the connection without waiting for anything. */
export function destroy(client: Client): void {
  streamOf(client).destroy()
}
