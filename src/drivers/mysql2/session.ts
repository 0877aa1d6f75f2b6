import mysql, { type Connection as CoreConnection } from 'mysql2'
import type { Target } from '../../errors/target.ts'
import { withinAnswerTime } from '../../time/deadline.ts'
import type { Session } from '../driver.ts'
import { beginsTransaction, warnOfSharedTransaction } from '../shared-transaction.ts'
import {
  characterSetOf,
  destroy,
  endPolitely,
  isRunning,
  resetConnection,
  setCharacterSet,
  streamOf,
  userOf,
  watchPackets,
} from './internals.ts'
import { readStatus } from './status.ts'

// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html: ER_OPTION_PREVENTS_STATEMENT,
// ER_READ_ONLY_MODE
const readOnlyErrors = [1290, 1836]

const sessions = new WeakMap<CoreConnection, Session>()

/** The session of a connection that {@link createSession} was called for. */
export function sessionOf(core: CoreConnection): Session {
  return sessions.get(core) as Session
}

/** Begins to look after the session of a connection that has just authenticated. */
export function createSession(
  core: CoreConnection,
  { user, database }: Pick<Target, 'user' | 'database'>,
): Session {
  const beginning = characterSetOf(core)
  // The server says so in a flag of every message that ends a result, which mysql2 reads and does not keep.
  // An error has no such flag.
  let inTransaction: boolean | undefined = false
  // After a failover the endpoint leads to another server, and only a new connection gets there.
  let isReadOnly = false
  watchPackets(core, (packet, command) => {
    const status = readStatus(packet, command)
    if (status === undefined) return
    if (status.error === undefined) {
      // The server commits what was open, and says nothing.
      if (inTransaction && beginsTransaction(command?.sql)) warnOfSharedTransaction('iamMysqlPool')
      inTransaction = status.isInTransaction
    } else {
      if (readOnlyErrors.includes(status.error)) isReadOnly = true
      // The statement may have begun one before it failed. To roll back one that the server has ended itself
      // does no harm.
      if (inTransaction === false) inTransaction = undefined
    }
  })

  const session: Session = {
    isUsable() {
      const { readable, writable, destroyed } = streamOf(core)
      // The handler may have changed the user, which nothing but a new connection puts right.
      return userOf(core) === user && readable && writable && !destroyed && !isReadOnly
    },
    isBusy: () => isRunning(core),
    // The server's last message of a command is the end of it, an error too.
    whenReady: () => undefined,
    isInTransaction: () => inTransaction,
    ping: () =>
      new Promise((resolve, reject) => core.ping(error => (error ? reject(error) : resolve(undefined)))),
    rollback: () => query(core, 'ROLLBACK'),
    async reset() {
      await resetConnection(core)
      // The server forgets the character set that was agreed on too, and keeps the default database.
      const collation = setCharacterSet(core, beginning)
      if (collation !== undefined)
        await query(core, `SET NAMES ${collation.split('_', 1)[0]} COLLATE ${collation}`)
      if (database !== '') await query(core, `USE ${mysql.escapeId(database, true)}`)
    },
    close() {
      const stream = streamOf(core)
      if (stream.closed) return Promise.resolve()
      const closed = new Promise<void>(resolve => stream.once('close', resolve))
      session.ref()
      if (session.isUsable() && !isRunning(core)) endPolitely(core)
      else destroy(core)
      return withinAnswerTime(closed).catch(() => destroy(core))
    },
    ref: () => void streamOf(core).ref(),
    unref: () => void streamOf(core).unref(),
  }
  sessions.set(core, session)
  return session
}

function query(core: CoreConnection, sql: string): Promise<unknown> {
  return new Promise((resolve, reject) =>
    core.query(sql, (error: Error | null) => (error ? reject(error) : resolve(undefined))),
  )
}
