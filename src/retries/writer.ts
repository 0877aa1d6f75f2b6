import { RdsIamError } from '../errors/rds-iam-error.ts'
import type { ConnectionClosedReason } from '../events/events.ts'
import type { ConnectionSettings } from '../options/settings.ts'
import { systemClock } from '../time/clock.ts'
import { withinAnswerTime } from '../time/deadline.ts'
import { createAttemptToken } from '../token/attempt-token.ts'
import { type Attempted, type Attempts, openWithRetries } from './open.ts'
import type { Asker, RetryParts } from './retry.ts'

/**
 * How long readers alone are found before the next one is taken at once, in milliseconds. A failover takes less
 * than a minute; a name that leads to a reader for longer does so for good, and waiting would only cost logins.
 *
 * @see https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html
 */
const failoverMs = 60_000

/** What looking for a writer takes. */
export interface OpeningParts<Connection> extends RetryParts {
  readonly settings: RetryParts['settings'] & Pick<ConnectionSettings, 'targetSessionAttrs'>
  readonly connections: {
    /** Whether the server of a new connection takes writes. */
    takesWrites(connection: Connection): boolean | Promise<boolean>
    isUsable(connection: Connection): boolean
    /** Closes a connection, and tells the observers. */
    discard(connection: Connection, reason: ConnectionClosedReason): void
    /** Whether another connection can be opened beside a reader that is kept. @default always */
    hasRoom?(): boolean
  }
}

/** Opens connections for one caller after another, or for several side by side. */
export interface Opening<Connection> {
  /**
   * Repeats attempts as `openWithRetries` does. Where a writer is wanted, a new connection to a reader counts
   * as an attempt that failed and may soon succeed; the last one is kept until the next attempt has ended, and
   * is lent where no further attempt makes sense.
   *
   * @throws {RdsIamError} What the last attempt failed with, where there is not even a reader.
   */
  open(asker: Asker, attempts: Attempts<Connection>): Promise<Connection>
  /** Closes the readers that are kept. */
  drop(): void
}

/** The reader that is kept for one caller. */
interface Kept<Connection> {
  /** Closes it, and keeps another one or none. */
  replace(next: Connection | undefined): void
}

export function createOpening<Connection extends object>(
  parts: OpeningParts<Connection>,
): Opening<Connection> {
  const { access, settings, connections, clock = systemClock } = parts
  // A pool gives the same connections again: each is looked at when it is new.
  const known = new WeakSet<Connection>()
  // Those that are kept, one at most for each caller.
  const readers = new Set<Connection>()
  let readOnlySinceMs: number | undefined

  const drop = (reader: Connection): void => {
    if (readers.delete(reader)) connections.discard(reader, 'read-only')
  }

  const tellReadOnly = (startedMs: number): void =>
    access.emit({
      event: 'connection:read-only',
      durationMs: Math.max(0, Math.round(clock.now() - startedMs)),
    })

  /** `undefined` where the server does not answer. */
  const look = async (connection: Connection, { deadlineMs }: Asker): Promise<boolean | undefined> => {
    const takesWrites = connections.takesWrites(connection)
    if (typeof takesWrites === 'boolean') return takesWrites
    return withinAnswerTime(takesWrites, deadlineMs - clock.now()).catch(() => undefined)
  }

  // The token that the connection was opened with was not refused.
  const failWith = (error: Error): Attempted<Connection> => ({
    error,
    token: createAttemptToken(access.tokens),
  })

  const attemptWriter = async (
    asker: Asker,
    startedMs: number,
    kept: Kept<Connection>,
    attempt: () => Promise<Attempted<Connection>>,
  ): Promise<Attempted<Connection>> => {
    if (connections.hasRoom?.() === false) kept.replace(undefined)
    const attempted = await attempt()
    if (!('connection' in attempted) || known.has(attempted.connection)) return attempted
    const { connection } = attempted
    const takesWrites = await look(connection, asker)
    if (takesWrites === undefined) {
      connections.discard(connection, 'silent')
      return failWith(new Error('connection terminated before the server said whether it takes writes'))
    }
    known.add(connection)
    if (takesWrites) {
      readOnlySinceMs = undefined
      return attempted
    }
    const readOnly = new Error('the server takes no writes: it is a standby, or read-only')
    if (asker.isAhead) {
      connections.discard(connection, 'read-only')
      throw access.explain(readOnly, { account: asker.account })
    }
    readOnlySinceMs ??= clock.now()
    if (clock.now() - readOnlySinceMs >= failoverMs) {
      tellReadOnly(startedMs)
      return attempted
    }
    kept.replace(connection)
    return failWith(readOnly)
  }

  const openWriter: Opening<Connection>['open'] = async (asker, { attempt, discard }) => {
    const startedMs = clock.now()
    let reader: Connection | undefined
    const kept: Kept<Connection> = {
      replace(next) {
        if (reader !== undefined) drop(reader)
        reader = next
        if (next !== undefined) readers.add(next)
      },
    }
    const hasFallback = () => reader !== undefined && readers.has(reader) && connections.isUsable(reader)
    try {
      return await openWithRetries({ ...parts, hasFallback }, asker, {
        attempt: terms => attemptWriter(asker, startedMs, kept, () => attempt(terms)),
        discard,
      })
    } catch (error) {
      // Other errors are not about connecting: nobody wants the connection any more, or a hook of the user's failed.
      const fallback = hasFallback() && error instanceof RdsIamError ? reader : undefined
      if (fallback === undefined) throw error
      readers.delete(fallback)
      tellReadOnly(startedMs)
      return fallback
    } finally {
      kept.replace(undefined)
    }
  }

  return {
    open: (asker, attempts) =>
      settings.targetSessionAttrs === 'any'
        ? openWithRetries(parts, asker, attempts)
        : openWriter(asker, attempts),
    drop: () => readers.forEach(drop),
  }
}
