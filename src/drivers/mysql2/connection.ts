import type { Socket } from 'node:net'
import mysql, { type Connection as CoreConnection } from 'mysql2'
import { RdsIamError } from '../../errors/rds-iam-error.ts'
import type { Settings } from '../../options/settings.ts'
import type { ConnectRequest } from '../driver.ts'
import { connectionOptions } from './connection-options.ts'
import { isReadOnly, watchTransaction } from './transaction.ts'

/** What mysql2 keeps to itself but its state cannot be known without. Tests hold these names against the installed version. */
interface Internals {
  readonly stream: Socket
  readonly _command: object | null | undefined
  readonly _commands: { readonly length: number }
  readonly _paused: boolean
  clientEncoding: string
}

/** How a session began, to be put back to. */
interface Beginning {
  readonly charsetNumber: number
  readonly clientEncoding: string
}

const beginnings = new WeakMap<CoreConnection, Beginning>()

/** Opens one connection that authenticates with a token, and leaves nothing behind where it fails. */
export function openConnection(settings: Settings, request: ConnectRequest): Promise<CoreConnection> {
  const { tls, timeoutMs, token } = request
  return new Promise((resolve, reject) => {
    const core = mysql.createConnection(connectionOptions(settings, { tls, timeoutMs, token }))
    // Without a listener, the process would end with the connection.
    core.on('error', () => {})
    core.connect(error => {
      if (error === null) {
        adopt(core)
        resolve(core)
      } else {
        destroy(core)
        reject(reasonOf(error))
      }
    })
  })
}

/** Begins to keep in mind what resetting and giving back will need. */
export function adopt(core: CoreConnection): void {
  const { charsetNumber } = core.config as { charsetNumber?: number }
  beginnings.set(core, {
    charsetNumber: charsetNumber ?? 0,
    clientEncoding: internalsOf(core).clientEncoding,
  })
  watchTransaction(core)
}

/** The error of this package where it is what made the driver's connection fail. */
export function reasonOf(error: Error): Error {
  return error.cause instanceof RdsIamError ? error.cause : error
}

/** Whether the connection can take a query, as far as the process knows, and what it leads to is not known to take no writes. */
export function isUsable(core: CoreConnection): boolean {
  const { readable, writable, destroyed } = internalsOf(core).stream
  return core.state === 'authenticated' && readable && writable && !destroyed && !isReadOnly(core)
}

/** Whether a command is running or waiting. */
export function isBusy(core: CoreConnection): boolean {
  const { _command, _commands, _paused } = internalsOf(core)
  return Boolean(_command) || _commands.length > 0 || _paused
}

/** Whether a command is running, be it that it has ended in this very moment. */
export function isEnding(core: CoreConnection): boolean {
  return Boolean(internalsOf(core)._command)
}

export function ping(core: CoreConnection): Promise<unknown> {
  return new Promise((resolve, reject) => core.ping(error => (error ? reject(error) : resolve(undefined))))
}

export function rollback(core: CoreConnection): Promise<unknown> {
  return query(core, 'ROLLBACK')
}

/**
 * Puts the session back to what it was. The server's own command forgets the character set that was agreed on too, and keeps the
 * default database.
 *
 * @see https://dev.mysql.com/doc/c-api/8.4/en/mysql-reset-connection.html
 */
export async function reset(core: CoreConnection, { database }: Settings): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    ;(core as unknown as { reset(callback: (error: Error | null) => void): void }).reset(error =>
      error ? reject(error) : resolve(),
    )
  })
  const beginning = beginnings.get(core)
  if (beginning !== undefined) {
    ;(core.config as { charsetNumber?: number }).charsetNumber = beginning.charsetNumber
    internalsOf(core).clientEncoding = beginning.clientEncoding
    const collation = nameCollation(beginning.charsetNumber)
    if (collation !== undefined)
      await query(core, `SET NAMES ${collation.split('_', 1)[0]} COLLATE ${collation}`)
  }
  if (database !== '') await query(core, `USE ${mysql.escapeId(database, true)}`)
}

/** Ends the connection: politely where it is idle, and in any case at once. */
export function close(core: CoreConnection): Promise<void> {
  const { stream } = internalsOf(core)
  if (stream.closed) return Promise.resolve()
  const closed = new Promise<void>(resolve => stream.once('close', resolve))
  if (!isUsable(core) || isBusy(core)) {
    destroy(core)
  } else {
    // A pool's connection takes `end` for `release`, unless told otherwise.
    const { _realEnd: end = core.end } = core as CoreConnection & { _realEnd?: CoreConnection['end'] }
    end.call(core, () => {})
    // What is written goes out first.
    stream.destroySoon()
  }
  return closed
}

/** Ends the connection without waiting for anything. */
export function destroy(core: CoreConnection): void {
  core.destroy()
  internalsOf(core).stream.destroy()
}

function query(core: CoreConnection, sql: string): Promise<unknown> {
  return new Promise((resolve, reject) =>
    core.query(sql, (error: Error | null) => (error ? reject(error) : resolve(undefined))),
  )
}

/** The name of a collation by its number, `utf8mb4_unicode_ci` for 224. */
function nameCollation(charsetNumber: number): string | undefined {
  const { Charsets } = mysql as unknown as { Charsets: Readonly<Record<string, number>> }
  return Object.keys(Charsets)
    .find(name => Charsets[name] === charsetNumber)
    ?.toLowerCase()
}

function internalsOf(core: CoreConnection): Internals {
  return core as unknown as Internals
}
