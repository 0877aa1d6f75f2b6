import type { Socket } from 'node:net'
import mysql, { type Connection as CoreConnection, type Pool, type PoolConnection } from 'mysql2'
import type { Connection } from 'mysql2/promise'

/**
 * What mysql2 keeps to itself, and what the state of a connection cannot be known without.
 * `test/servers/mysql2/internals.test.ts` holds these names against the installed version.
 */
interface ConnectionInternals {
  readonly stream: Socket
  readonly _command: Command | null | undefined
  readonly _commands: { readonly length: number }
  readonly _paused: boolean
  clientEncoding: string
  readonly _statements: { values(): Iterable<{ close(): void }>; clear(): void }
  readonly serverCapabilityFlags: number
  sequenceId: number
  _resetSequenceId(): void
  /** Tells the commands that are running or waiting. */
  _handleNetworkError(error: Error): void
  handlePacket(packet?: Packet): void
  addCommand(command: Command): Command
  write(bytes: Buffer): void
}

interface PoolConnectionInternals {
  /** A connection that left its pool knows none. */
  readonly _pool: unknown
  _released: boolean
  lastActiveTime: number
  _removeFromPool(): void
  /** The connection's own `end`: a pool's connection takes `end` for `release`, unless told otherwise. */
  readonly _realEnd?: CoreConnection['end']
}

interface PoolInternals {
  getConnection(callback: GetCallback): void
  query(...given: readonly unknown[]): unknown
  execute(...given: readonly unknown[]): unknown
  releaseConnection(connection: PoolConnection): void
  readonly _allConnections: Queue
  readonly _freeConnections: Queue
  readonly _closed: boolean
  readonly config: { connectionLimit: number }
  /** Where connections are closed after some idle time, a timer looks every second. */
  readonly _removeIdleTimeoutConnectionsTimer?: NodeJS.Timeout
  _removeIdleTimeoutConnections(): void
}

interface Queue {
  readonly length: number
  get(index: number): PoolConnection | undefined
}

/** A message of the server: its body goes from `offset` to `end`. */
export interface Packet {
  readonly buffer: Buffer
  readonly offset: number
  readonly end: number
}

/** A command is a state machine whose states are its methods. */
export type Command = Record<string, unknown>

/** One that waits for answers to what was written before, and reads nothing of them. */
export interface SentCommands extends Command {
  /** @returns Whether it has ended. */
  execute(packet: { isError(): boolean; asError(encoding: string): Error } | undefined): boolean
  onResult(error: Error | null): void
}

/** How a session speaks, which the server forgets at a reset. */
export interface CharacterSet {
  readonly charsetNumber: number
  readonly clientEncoding: string
}

export type GetCallback = Parameters<Pool['getConnection']>[0]

type AddCommand = ConnectionInternals['addCommand']

// https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html:
// CLIENT_QUERY_ATTRIBUTES, CLIENT_IGNORE_SPACE
const queryAttributesFlag = 1 << 27
const ignoreSpaceFlag = 1 << 8

function internalsOf(core: CoreConnection): ConnectionInternals {
  return core as unknown as ConnectionInternals
}

function poolInternalsOf(connection: PoolConnection): PoolConnectionInternals {
  return connection as unknown as PoolConnectionInternals
}

/** The connection below the one with promises. */
export function coreOf(connection: Connection): CoreConnection {
  return (connection as unknown as { connection: CoreConnection }).connection
}

/** The socket, or the TLS stream that took its place. */
export function streamOf(core: CoreConnection): Socket {
  return internalsOf(core).stream
}

/** Whether a command is running or waiting. */
export function isRunning(core: CoreConnection): boolean {
  const { _command, _commands, _paused } = internalsOf(core)
  return Boolean(_command) || _commands.length > 0 || _paused
}

/** The statement of the command that is running, where it has one. */
export function runningSql(core: CoreConnection): unknown {
  return internalsOf(core)._command?.sql
}

/** Whether a command is running, also one that has ended in this very moment. */
export function isEnding(core: CoreConnection): boolean {
  return Boolean(internalsOf(core)._command)
}

/** Shows every message of the server, and the command that it is for, before mysql2 handles it. */
export function watchPackets(
  core: CoreConnection,
  look: (packet: Packet, command: Command | null | undefined) => void,
): void {
  const internals = internalsOf(core)
  const { handlePacket } = internals
  internals.handlePacket = packet => {
    // While it is paused mysql2 keeps the messages, and calls this again for each: to look twice does no
    // harm.
    if (packet !== undefined) look(packet, internals._command)
    handlePacket.call(core, packet)
  }
}

/** The character set that a session speaks now. */
export function characterSetOf(core: CoreConnection): CharacterSet {
  const { charsetNumber = 0 } = core.config as { charsetNumber?: number }
  return { charsetNumber, clientEncoding: internalsOf(core).clientEncoding }
}

/**
 * Has mysql2 speak a character set again, and says by which name the server knows it; `undefined` where
 * mysql2 has none.
 */
export function setCharacterSet(core: CoreConnection, set: CharacterSet): string | undefined {
  ;(core.config as { charsetNumber?: number }).charsetNumber = set.charsetNumber
  internalsOf(core).clientEncoding = set.clientEncoding
  const { Charsets } = mysql as unknown as { Charsets: Readonly<Record<string, number>> }
  // For example `utf8mb4_unicode_ci` for 224.
  return Object.keys(Charsets)
    .find(name => Charsets[name] === set.charsetNumber)
    ?.toLowerCase()
}

/**
 * Forgets the prepared statements, which the server no longer knows. mysql2 would close each of them.
 */
export function forgetStatements(core: CoreConnection): void {
  const { _statements } = internalsOf(core)
  for (const statement of _statements.values()) statement.close = () => {}
  _statements.clear()
}

const unwatchedAdds = new WeakMap<CoreConnection, AddCommand>()

/**
 * Shows every command of the handler's before it is added, also where the connection is closed. One for which
 * `look` returns false is not added.
 */
export function watchCommands(core: CoreConnection, look: (command: Command) => boolean): void {
  const internals = internalsOf(core)
  unwatchedAdds.set(core, internals.addCommand)
  Object.defineProperty(internals, 'addCommand', {
    configurable: true,
    get: (): AddCommand => command => (look(command) ? addUnwatched(core, command) : command),
    // mysql2 puts another function in its place when the connection is closed.
    set: (add: AddCommand) => unwatchedAdds.set(core, add),
  })
}

function addUnwatched(core: CoreConnection, command: Command): Command {
  const add = unwatchedAdds.get(core) ?? internalsOf(core).addCommand
  return add.call(core, command)
}

/**
 * Adds a command that writes bytes, which hold several messages, and waits for as many answers. It is not
 * shown to who watches commands.
 */
export function addSent(
  core: CoreConnection,
  bytes: Buffer,
  answers: number,
  onResult: (error: Error | null) => void,
): void {
  const internals = internalsOf(core)
  let open = answers
  let failure: Error | null = null
  const isAnswered = (): void => {}
  const command: SentCommands = {
    // A message that begins as an OK does is one.
    next: isAnswered,
    resetConnectionResponse: isAnswered,
    emit: () => false,
    onResult,
    execute(packet) {
      if (packet === undefined) {
        internals._resetSequenceId()
        internals.write(bytes)
      } else {
        if (packet.isError()) failure ??= packet.asError(internals.clientEncoding)
        open -= 1
        if (open === 0) process.nextTick(onResult, failure)
      }
      // Each answer has the number after its message, whose own is 0.
      internals.sequenceId = 1
      return open === 0
    },
  }
  addUnwatched(core, command)
}

/** Has nobody shown the commands that a function adds. */
export function unwatched<Result>(core: CoreConnection, add: () => Result): Result {
  const watched = Object.getOwnPropertyDescriptor(core, 'addCommand')
  const own = unwatchedAdds.get(core)
  if (watched === undefined || own === undefined) return add()
  Object.defineProperty(core, 'addCommand', { configurable: true, writable: true, value: own })
  try {
    return add()
  } finally {
    unwatchedAdds.set(core, internalsOf(core).addCommand)
    Object.defineProperty(core, 'addCommand', watched)
  }
}

/** Whether a statement is sent with attributes, if only with none. */
export function takesAttributes(core: CoreConnection): boolean {
  return hasAgreedOn(core, queryAttributesFlag)
}

/** Whether the session began with IGNORE_SPACE in its `sql_mode`, which the server forgets at a reset. */
export function ignoresSpace(core: CoreConnection): boolean {
  return hasAgreedOn(core, ignoreSpaceFlag)
}

function hasAgreedOn(core: CoreConnection, flag: number): boolean {
  const { clientFlags = 0 } = core.config as { clientFlags?: number }
  return (clientFlags & internalsOf(core).serverCapabilityFlags & flag) !== 0
}

/** Whether all that runs is a query whose rows nobody hears of: its stream was destroyed, or left. */
export function isGivenUp(core: CoreConnection): boolean {
  const { _command: command, _commands } = internalsOf(core)
  if (!command || _commands.length > 0 || command.onResult || typeof command.listenerCount !== 'function')
    return false
  return ['result', 'fields', 'end', 'error'].every(
    event => (command.listenerCount as (event: string) => number)(event) === 0,
  )
}
/** Ends a connection politely. What is written goes out first. */
export function endPolitely(core: CoreConnection): void {
  const { _realEnd: end = core.end } = core as CoreConnection & Partial<PoolConnectionInternals>
  end.call(core, () => {})
  streamOf(core).destroySoon()
}

/** Ends a connection without waiting for anything. */
export function destroy(core: CoreConnection): void {
  const stream = streamOf(core)
  // A command that is being written at this moment would fail, and nobody may await it.
  stream.removeAllListeners('error').on('error', () => {})
  internalsOf(core)._handleNetworkError = () => {}
  core.destroy()
  stream.destroy()
}

/** Ends a connection without waiting for anything, and tells those whose commands are running or waiting. */
export function endRunning(core: CoreConnection, reason: Error): void {
  streamOf(core).destroy(reason)
}

/** What mysql2's own pool does, below this package. */
export interface PoolHooks {
  /**
   * Asks mysql2 for a connection.
   *
   * @param isBeside Whether it is to open one also where the pool is full.
   * @returns The one that it opens at once, if it does.
   */
  get(callback: GetCallback, isBeside?: boolean): PoolConnection | undefined
  /** Puts a connection back among the idle ones, or gives it to the next caller that waits. */
  putBack(connection: PoolConnection): void
}

/** What happens instead where mysql2's own pool would act. */
export interface PoolHandlers {
  /** Anybody asks the pool for a connection. */
  acquire(callback: GetCallback): void
  /** mysql2 asks again for a caller of `get` that waits, because there is room for a new connection. */
  acquireAgain(callback: GetCallback): void
  /** Anybody releases a connection. One that ended is released too, to make room. */
  release(connection: PoolConnection, makeRoom: () => void): void
  /** A query of the pool's own has timed out. mysql2 releases its connection when the server has finished it. */
  timeOut(connection: PoolConnection): void
}

/** Puts this package between mysql2's pool and its callers. */
export function interceptPool(pool: Pool, handlers: PoolHandlers): PoolHooks {
  const { acquire, acquireAgain, release, timeOut } = handlers
  const internals = pool as unknown as PoolInternals
  const getConnection = internals.getConnection.bind(pool)
  // Releasing is where mysql2 asks by itself, and it asks the pool that releases.
  const asking: PoolInternals = Object.create(pool, { getConnection: { value: acquireAgain } })
  const releaseConnection = internals.releaseConnection.bind(asking)
  // While a query of the pool's own asks for its connection, which it does at once.
  let taken: ((connection: PoolConnection) => void) | undefined
  internals.getConnection = callback => {
    const take = taken
    if (take === undefined) return acquire(callback)
    acquire((error, connection) => {
      take(connection)
      callback(error, connection)
    })
  }
  for (const name of ['query', 'execute'] as const) {
    const run = internals[name].bind(pool)
    internals[name] = (...given) => {
      const position = given.findLastIndex(argument => typeof argument === 'function')
      if (position < 0) return run(...given)
      let connection: PoolConnection | undefined
      taken = taking => {
        connection = taking
      }
      const tell = given[position] as (error: { code?: string } | null, ...result: unknown[]) => void
      const tellAndRelease: typeof tell = (error, ...result) => {
        if (error?.code === 'PROTOCOL_SEQUENCE_TIMEOUT' && connection !== undefined) timeOut(connection)
        tell(error, ...result)
      }
      try {
        return run(...given.with(position, tellAndRelease))
      } finally {
        taken = undefined
      }
    }
  }
  internals.releaseConnection = connection => release(connection, () => releaseConnection(connection))
  return {
    get(callback, isBeside = false) {
      const { _allConnections: all, config } = internals
      const before = all.length
      const { connectionLimit } = config
      // mysql2 looks at it at once. Where it is 0, there is none.
      if (isBeside && connectionLimit > 0) config.connectionLimit = Math.max(connectionLimit, before + 1)
      getConnection(callback)
      config.connectionLimit = connectionLimit
      return all.get(before)
    },
    putBack(connection) {
      const own = poolInternalsOf(connection)
      own._released = true
      own.lastActiveTime = Date.now()
      releaseConnection(connection)
    },
  }
}

/** Lets the process end although a pool looks for idle connections by a timer. */
export function unrefTimer(pool: Pool): void {
  const internals = pool as unknown as PoolInternals
  const { _removeIdleTimeoutConnections: arm } = internals
  internals._removeIdleTimeoutConnections = () => {
    arm.call(pool)
    internals._removeIdleTimeoutConnectionsTimer?.unref()
  }
  internals._removeIdleTimeoutConnectionsTimer?.unref()
}

/** Bounds a connection that has not begun to connect, by its configuration, in milliseconds. */
export function setConnectTimeout(config: object, timeoutMs: number): void {
  ;(config as { connectTimeout: number }).connectTimeout = Math.max(1, timeoutMs)
}

/** Whether a connection has authenticated, and as whom. */
export function userOf(core: CoreConnection): string | undefined {
  return core.state === 'authenticated' ? core.config.user : undefined
}

/** Whether a connection is still its pool's. */
export function isInPool(connection: PoolConnection): boolean {
  return Boolean(poolInternalsOf(connection)._pool)
}

export function removeFromPool(connection: PoolConnection): void {
  poolInternalsOf(connection)._removeFromPool()
}

/** How many connections a pool holds or is opening, and how many of them are idle. */
export function countsOf(pool: Pool): { readonly all: number; readonly idle: number } {
  const { _allConnections, _freeConnections } = pool as unknown as PoolInternals
  return { all: _allConnections.length, idle: _freeConnections.length }
}

/** What mysql2 says to callers of a pool that has ended. */
export const poolIsClosed = 'Pool is closed.'

export function isClosed(pool: Pool): boolean {
  return (pool as unknown as PoolInternals)._closed
}
