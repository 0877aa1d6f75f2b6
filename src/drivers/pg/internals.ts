import type { Socket } from 'node:net'
import type { Client, Connection, Submittable } from 'pg'

/**
 * What pg keeps to itself, and what the state of a connection cannot be known without.
 * `test/servers/pg/internals.test.ts` holds these names against the installed version.
 */
interface Internals {
  readonly connection: Connection
  readonly connectionParameters: { password: unknown }
  password: unknown
  readonly readyForQuery?: boolean
  readonly _activeQuery: Submitted | null
  readonly _queryQueue: Submitted[]
  /** With the option `pipeline`, what was sent and waits for its turn to be answered. */
  readonly _sentQueryQueue?: readonly Submitted[]
  _pulseQueryQueue(): void
  readonly _queryable: boolean
  readonly _ended: boolean
  readonly _ending: boolean
}

/** What a client submits: a query of its own, or another package's. */
type Submitted = Record<string, unknown>

/** What pg calls of a submitted query, each with a message of the server. */
export const messageHandlers = [
  'handleRowDescription',
  'handleDataRow',
  'handlePortalSuspended',
  'handleCommandComplete',
  'handleEmptyQuery',
  'handleCopyInResponse',
  'handleCopyData',
  'handleReadyForQuery',
  'handleError',
] as const

/** A query that waits for nothing but its answer. */
export interface SentStatement extends Submittable {
  submit(connection: Connection): null
  handleRowDescription(): void
  handleDataRow(): void
  handleCommandComplete(): void
  handleEmptyQuery(): void
  handleReadyForQuery(): void
  handleError(error: Error): void
}

/** What dials: it tells its socket the port and the host, and then asks TLS for the host. */
interface Dialling {
  connect(port: number, host: string): void
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
 * Has a client ask TLS for a name while it dials the host that it was given. pg would ask for the name that it
 * dials, whatever its option `ssl` says.
 */
export function askTlsFor(client: Client, name: string): void {
  const connection = protocolOf(client) as Connection & Dialling
  const stream = streamOf(client)
  const dial = stream.connect.bind(stream) as (port: number, host: string) => Socket
  const connect = connection.connect.bind(connection)
  connection.connect = (port, host) => {
    stream.connect = () => dial(port, host)
    connect(port, name)
  }
}

/**
 * Listens for what a server that has no process for a connection says in place of agreeing to TLS, of which pg
 * tells nobody. Anybody can say it there: no more is taken of it than these words.
 *
 * @returns What it has said, if it has.
 * @see https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/postmaster/postmaster.c `report_fork_failure_to_client`
 */
export function hearForkFailure(client: Client): () => string | undefined {
  let words: string | undefined
  streamOf(client).once('data', (first: Buffer) => {
    words = /^E(could not fork new process for connection: [\w ]{1,80})/.exec(first.toString('latin1'))?.[1]
  })
  return () => words
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

function queriesOf(client: Client): Submitted[] {
  const { _activeQuery, _queryQueue, _sentQueryQueue = [] } = internalsOf(client)
  return [...(_activeQuery ? [_activeQuery] : []), ..._sentQueryQueue, ..._queryQueue]
}

/** Whether a query is running or waiting. */
export function isRunning(client: Client): boolean {
  const { _activeQuery, _queryQueue, _sentQueryQueue } = internalsOf(client)
  return Boolean(_activeQuery) || _queryQueue.length > 0 || Boolean(_sentQueryQueue?.length)
}

/**
 * Whether all that runs is a cursor, or the stream of one, that its user has closed or never closed. One that
 * waits to be read from is closed now: nobody reads from it any more.
 *
 * @see https://node-postgres.com/apis/cursor
 */
export function endsCursor(client: Client): boolean {
  const [query, ...others] = queriesOf(client)
  if (query === undefined || others.length > 0) return false
  const cursor = (query.cursor ?? query) as Submitted
  if (cursor.state === 'idle') {
    const end = query === cursor ? cursor.close : query.destroy
    if (typeof end === 'function') end.call(query)
  }
  return cursor.state === 'done'
}

/** Whether a query waits that the server has not been sent. */
export function hasWaiting(client: Client): boolean {
  return internalsOf(client)._queryQueue.length > 0
}

/** Has pg prepare its named statements again, because the server has forgotten them. */
export function forgetStatements(client: Client): void {
  Object.assign(protocolOf(client), { parsedStatements: {} })
}

/** Adds a query behind those that wait, as the client itself does. */
export function enqueue(client: Client, query: SentStatement): void {
  const internals = internalsOf(client)
  internals._queryQueue.push(query as unknown as Submitted)
  internals._pulseQueryQueue()
}

/** The statement that is running, where it is a text. */
export function runningSql(client: Client): unknown {
  return internalsOf(client)._activeQuery?.text
}

/** Whether the server has said that it is ready for a query. */
export function isReady(client: Client): boolean {
  return internalsOf(client).readyForQuery === true
}

/**
 * Has nobody told of what becomes of the queries that are running or waiting: not by a callback, and not by
 * an event or a stream, whose error would end the process where nobody listens.
 */
export function dropQueries(client: Client): void {
  for (const query of queriesOf(client)) {
    if (typeof query.callback === 'function') query.callback = () => {}
    query.handleError = () => {}
  }
}

/** pg keeps the password in two places, until the server has answered or longer. */
export function forgetPassword(client: Client): void {
  const internals = internalsOf(client)
  internals.password = null
  internals.connectionParameters.password = null
}
