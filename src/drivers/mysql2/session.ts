import { AsyncLocalStorage } from 'node:async_hooks'
import type { Connection as CoreConnection } from 'mysql2'
import type { Settings } from '../../options/settings.ts'
import { withinAnswerTime } from '../../time/deadline.ts'
import { type Callers, outside } from '../callers.ts'
import type { Session } from '../driver.ts'
import { beginsTransaction, warnOfSharedTransaction } from '../shared-transaction.ts'
import { type Message, ping, query, resetConnection, send, useDatabase } from './commands.ts'
import {
  type Command,
  characterSetOf,
  destroy,
  endPolitely,
  forgetStatements,
  ignoresSpace,
  isGivenUp,
  isRunning,
  setCharacterSet,
  streamOf,
  unwatched,
  userOf,
  watchCommands,
  watchPackets,
} from './internals.ts'
import { takesWrites } from './role.ts'
import { readStatus } from './status.ts'

/**
 * Errors that come back for as long as the connection lives: ER_OPTION_PREVENTS_STATEMENT and
 * ER_READ_ONLY_MODE, because after a failover the endpoint leads to another server; ER_NEED_REPREPARE; and
 * ER_MAX_PREPARED_STMT_COUNT_REACHED, where ending the connection frees its own statements.
 *
 * @see https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */
const spendingErrors = [1290, 1836, 1615, 1461]

const setsRole = /\bset(?:\s|\/\*.*?\*\/|--.*?\n|#.*?\n)+role\b/is
// `USE INDEX` and `USE KEY` are hints.
const usesDatabase = /\buse\b(?!\s+(?:index|key)\b)/i

/** ER_UNKNOWN_COM_ERROR: the server cannot reset a session. MySQL can since 5.7.3. */
const unknownCommand = 1047

const sessions = new WeakMap<CoreConnection, Session>()

/** The session of a connection that {@link createSession} was called for. */
export function sessionOf(core: CoreConnection): Session {
  return sessions.get(core) as Session
}

/** Begins to look after the session of a connection that has just authenticated. */
export function createSession(
  core: CoreConnection,
  { user, database, isResetChosen }: Pick<Settings, 'user' | 'database' | 'isResetChosen'>,
  callers?: Callers,
): Session {
  const characterSet = characterSetOf(core)
  // The server says so in a flag of every message that ends a result, which mysql2 reads and does not keep.
  // An error has no such flag.
  let inTransaction: boolean | undefined = false
  // What the first such flag after an error has told.
  let wasOpen = false
  let isTouched = false
  let hasBegun = false
  const beginning: Command[] = []
  let canReset = true
  // Of no use to anybody any more: only a new connection puts it right.
  let isSpent = false
  watchPackets(core, (packet, command) => {
    const status = readStatus(packet, command)
    if (status === undefined) return
    if (status.error === undefined) {
      // The server commits what was open, and says nothing.
      if (inTransaction && beginsTransaction(command?.sql)) warnOfSharedTransaction('iamMysqlPool')
      if (inTransaction === undefined) wasOpen = status.isInTransaction
      inTransaction = status.isInTransaction
    } else {
      if (spendingErrors.includes(status.error)) isSpent = true
      // The statement may have begun one before it failed. To roll back one that the server has ended itself
      // does no harm.
      if (inTransaction === false) inTransaction = undefined
    }
  })
  watchCommands(core, command => {
    // The connection may be another's, and in the midst of a transaction. Nobody may wait for it any more, so
    // that an error would end the process.
    if (callers?.isLate(session)) return false
    if (changesForGood(command, database !== '')) isSpent = true
    if (hasBegun) isTouched = true
    else rememberSuccess(beginning, command)
    bindContext(command)
    return true
  })

  /** Sends again what made the session what it is to be. */
  const repeat = (): Promise<unknown> => Promise.all(beginning.map(command => sendAgain(core, command)))

  /** Puts back what the server forgets of how the connection began. It keeps the default database. */
  const begin = (): Message[] => {
    const collation = setCharacterSet(core, characterSet)
    const settings = [
      ...(collation === undefined
        ? []
        : [`NAMES ${collation.split('_', 1)[0]}${collation === 'binary' ? '' : ` COLLATE ${collation}`}`]),
      ...(ignoresSpace(core) ? ["sql_mode = CONCAT(@@sql_mode, ',IGNORE_SPACE')"] : []),
    ]
    return [
      ...(settings.length === 0 ? [] : [query(core, `SET ${settings.join(', ')}`)]),
      ...(database === '' ? [] : [useDatabase(database)]),
    ]
  }

  const reset = async (before: readonly Message[]): Promise<void> => {
    forgetStatements(core)
    if (canReset) {
      try {
        return await send(core, [...before, resetConnection, ...begin()])
      } catch (error) {
        if (isResetChosen || (error as { errno?: number }).errno !== unknownCommand) throw error
        canReset = false
      }
    }
    const statements = ['ROLLBACK', 'SET autocommit = 1', 'UNLOCK TABLES']
    await send(core, [...before, ...statements.map(sql => query(core, sql)), ...begin()])
  }

  const session: Session = {
    user: undefined,
    restoration: undefined,
    isUsable() {
      const { readable, writable, destroyed } = streamOf(core)
      // The handler may have changed the user, which nothing but a new connection puts right.
      return userOf(core) === user && readable && writable && !destroyed && !isSpent
    },
    isBusy: () => isRunning(core) && !isGivenUp(core),
    isEnding: () => isRunning(core),
    isInTransaction: () => inTransaction,
    isTouched: () => isTouched,
    takesWrites: () => takesWrites(core),
    ping: () => send(core, [ping]),
    begin() {
      hasBegun = true
    },
    async restore({ rollback, reset: isReset, before }) {
      const isUnknown = inTransaction === undefined
      if (isReset) isTouched = false
      if (before !== undefined) await before
      // Its answer has the flag.
      const asked = isUnknown ? [ping] : []
      // To reset rolls back too.
      if (isReset) await reset(asked).then(repeat)
      else await send(core, rollback ? [...asked, query(core, 'ROLLBACK')] : [ping])
      return isUnknown && wasOpen
    },
    canReset: () => canReset,
    leave() {},
    async close() {
      const stream = streamOf(core)
      if (stream.closed) return
      // mysql2 does not end politely what it takes for busy.
      if (session.restoration !== undefined) await withinAnswerTime(session.restoration).catch(() => {})
      const closed = new Promise<void>(resolve => stream.once('close', resolve))
      session.ref()
      // Whoever asks for that, it is nobody's command.
      if (session.isUsable() && !isRunning(core)) outside(() => endPolitely(core))
      else destroy(core)
      await withinAnswerTime(closed).catch(() => destroy(core))
    },
    ref: () => void streamOf(core).ref(),
    unref: () => void streamOf(core).unref(),
  }
  sessions.set(core, session)
  return session
}

/** Does again what a command did: a query, or a statement that was prepared for it. Others gave no state. */
function sendAgain(core: CoreConnection, { sql, values, statement }: Command): Promise<void> {
  if (typeof sql !== 'string') return Promise.resolve()
  return new Promise((resolve, reject) => {
    const end = (error: Error | null): void => (error === null ? resolve() : reject(error))
    unwatched(core, () =>
      statement === undefined ? core.query(sql, end) : core.execute(sql, values as [], end),
    )
  })
}

/**
 * Whether a command changes what a reset leaves as it is, and nobody can put back: the role, because those that
 * the user had at login are not known, and the default database where there was none.
 */
function changesForGood({ sql, database }: Command, hadDatabase: boolean): boolean {
  if (typeof sql !== 'string') return !hadDatabase && typeof database === 'string' && database !== ''
  return setsRole.test(sql) || (!hadDatabase && usesDatabase.test(sql))
}

/** Keeps a command in a list unless it fails. */
function rememberSuccess(commands: Command[], command: Command): void {
  const { onResult } = command
  commands.push(command)
  if (typeof onResult !== 'function') return
  command.onResult = (error: unknown, ...result: readonly unknown[]) => {
    if (error) commands.splice(commands.indexOf(command), 1)
    onResult.call(command, error, ...result)
  }
}

/** Has what a command tells run in the context that it was added in. */
function bindContext(command: Command): void {
  const name = typeof command.onResult === 'function' ? 'onResult' : 'emit'
  command[name] = AsyncLocalStorage.bind(command[name] as () => void)
}
