import type { Socket } from 'node:net'
import type { Client, Connection } from 'pg'

/**
 * What pg keeps to itself, and what the state of a connection cannot be known without.
 * `test/servers/pg/internals.test.ts` holds these names against the installed version.
 */
interface Internals {
  readonly connection: Connection
  readonly connectionParameters: { password: unknown }
  password: unknown
  readonly readyForQuery?: boolean
  readonly _activeQuery: { callback?: unknown; readonly text?: unknown } | null
  readonly _queryQueue: readonly { callback?: unknown }[]
  readonly _queryable: boolean
  readonly _ended: boolean
  readonly _ending: boolean
}

function internalsOf(client: Client): Internals {
  return client as unknown as Internals
}

/** Whether something is a client of pg, of whichever copy of it. */
export function isClient(value: unknown): value is Client {
  const { connection } = (value ?? {}) as Partial<Internals>
  return typeof connection?.on === 'function' && connection.stream !== undefined
}

/** What speaks the protocol below a client, and emits an event for each message of the server. */
export function protocolOf(client: Client): Connection {
  return internalsOf(client).connection
}

/** The socket, or the TLS stream that took its place. */
export function streamOf(client: Client): Socket {
  return internalsOf(client).connection.stream as Socket
}

/**
 * Keeps a client that is taken for the options of another one, as by an adapter that expects a pool, from
 * sharing its connection with that: two clients that read one connection end the process.
 */
export function hideConnection(client: Client): void {
  Object.defineProperty(client, 'connection', { enumerable: false })
}

/** Whether pg would send a query now. */
export function isOpen(client: Client): boolean {
  const { _queryable, _ended, _ending } = internalsOf(client)
  return _queryable && !_ended && !_ending
}

/** Whether a query is running or waiting. */
export function isRunning(client: Client): boolean {
  const { _activeQuery, _queryQueue } = internalsOf(client)
  return Boolean(_activeQuery) || _queryQueue.length > 0
}

/** The statement that is running, where it is a text. */
export function runningSql(client: Client): unknown {
  return internalsOf(client)._activeQuery?.text
}

/** Whether the server has said that it is ready for a query. */
export function isReady(client: Client): boolean {
  return internalsOf(client).readyForQuery === true
}

/** Has nobody told of what becomes of the queries that are running or waiting. */
export function dropCallbacks(client: Client): void {
  const { _activeQuery, _queryQueue } = internalsOf(client)
  for (const query of [_activeQuery, ..._queryQueue])
    if (typeof query?.callback === 'function') query.callback = () => {}
}

/** pg keeps the password in two places, until the server has answered or longer. */
export function forgetPassword(client: Client): void {
  const internals = internalsOf(client)
  internals.password = null
  internals.connectionParameters.password = null
}
