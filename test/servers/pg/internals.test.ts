// The contract with pg: what src/drivers/pg/internals.ts relies on, shown by what it does on a real server.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import { after, test } from 'node:test'
import pg from 'pg'
import {
  askTlsFor,
  dropQueries,
  forgetPassword,
  hearForkFailure,
  hideConnection,
  isClient,
  isOpen,
  isReady,
  isRunning,
  protocolOf,
  runningSql,
  streamOf,
} from '../../../src/drivers/pg/internals.ts'
import { startPostgres } from '../../support/servers.ts'

const server = await startPostgres()
after(() => server.stop())

async function connect(t: { after(end: () => Promise<unknown>): void }): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: server.port,
    user: 'postgres',
    password: 'unasked',
    ssl: false,
  })
  client.on('error', () => {})
  assert.equal(isOpen(client), true, 'before it connects, pg would queue a query')
  assert.equal(isReady(client), false)
  await client.connect()
  t.after(() => client.end().catch(() => {}))
  return client
}

// `once` of node:events would reject at the error that comes before.
const ending = (client: pg.Client) => new Promise<void>(resolve => client.once('end', resolve))
const ready = (client: pg.Client) =>
  isReady(client) ? undefined : new Promise<void>(resolve => client.once('drain', resolve))

test('isOpen and isRunning follow a client from its first query to its end', async t => {
  const client = await connect(t)
  assert.deepEqual([isOpen(client), isRunning(client)], [true, false])
  const running = client.query('SELECT 1')
  assert.equal(isRunning(client), true, 'a query that was sent')
  const waiting = client.query('SELECT 2')
  await running
  assert.equal(isRunning(client), true, 'a query that waited')
  await waiting
  assert.equal(isRunning(client), false)
  const ended = client.end()
  assert.equal(isOpen(client), false, 'it was told to end')
  await ended
  assert.equal(isOpen(client), false)
})

test('isOpen is false once the server has ended the connection', async t => {
  const client = await connect(t)
  const [row] = (await client.query('SELECT pg_backend_pid() AS pid')).rows
  const ended = ending(client)
  await server.query(`SELECT pg_terminate_backend(${row.pid})`)
  await ended
  assert.equal(isOpen(client), false)
})

test('isReady is false from a query to the ReadyForQuery behind its answer', async t => {
  const client = await connect(t)
  await ready(client)
  assert.equal(isReady(client), true)
  const seen: boolean[] = []
  protocolOf(client).on('errorMessage', () => seen.push(isReady(client)))
  const failing = client.query('SELECT 1/0')
  assert.equal(isReady(client), false)
  await assert.rejects(failing, { code: '22012' })
  await ready(client)
  assert.deepEqual([seen, isReady(client)], [[false], true])
})

test('protocolOf tells of every error of the server, with its SQLSTATE', async t => {
  const client = await connect(t)
  const codes: (string | undefined)[] = []
  protocolOf(client).on('errorMessage', ({ code }: { code?: string }) => codes.push(code))
  await client.query('SELECT 1/0').catch(() => {})
  await client.query('SELECT').catch(() => {})
  await client.query('SELECT nothing').catch(() => {})
  assert.deepEqual(codes, ['22012', '42703'])
})

test('streamOf is the socket that ends the connection', async t => {
  const client = await connect(t)
  const stream = streamOf(client)
  assert.ok(stream instanceof Socket)
  const ended = ending(client)
  stream.destroy()
  await ended
})

test('dropQueries leaves nobody to tell of the queries that are running and waiting', async t => {
  const client = await connect(t)
  const told: string[] = []
  const tell = (name: string) => () => void told.push(name)
  client.query('SELECT pg_sleep(60)').then(tell('running'), tell('running'))
  client.query('SELECT 1').then(tell('waiting'), tell('waiting'))
  client.query('SELECT 1', tell('callback'))
  // Without a listener, its error would end the process.
  client.query(new pg.Query('SELECT 1'))
  dropQueries(client)
  const ended = ending(client)
  streamOf(client).destroy()
  await ended
  assert.deepEqual(told, [])
})

test('forgetPassword leaves it nowhere on the client', async t => {
  const client = await connect(t)
  const holders = [client, (client as unknown as { connectionParameters: object }).connectionParameters]
  const passwords = () => holders.map(holder => (holder as { password?: unknown }).password)
  assert.deepEqual(passwords(), ['unasked', 'unasked'])
  forgetPassword(client)
  assert.deepEqual(passwords(), [null, null])
})

test('isClient knows a client of pg from all else that a function could be called on', async t => {
  assert.equal(isClient(await connect(t)), true)
  for (const other of [undefined, null, {}, { connection: {} }, 'client', () => {}])
    assert.equal(isClient(other), false)
})

test('hideConnection keeps another client from sharing the connection, and pg from missing it', async t => {
  const client = await connect(t)
  hideConnection(client)
  assert.ok(!Object.keys({ ...client }).includes('connection'))
  assert.notEqual(protocolOf(new pg.Client({ ...(client as object) })), protocolOf(client))
  await client.query('SELECT 1')
})

test('runningSql is the statement that was sent and not yet answered', async t => {
  const client = await connect(t)
  assert.equal(runningSql(client), undefined)
  const running = client.query('SELECT 1')
  assert.equal(runningSql(client), 'SELECT 1')
  await running
  await ready(client)
  assert.equal(runningSql(client), undefined)
})

test('askTlsFor has pg dial the host that it was given', async t => {
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, user: 'postgres', ssl: false })
  t.after(() => client.end())
  askTlsFor(client, 'db.invalid')
  await client.connect()
  assert.equal(client.host, '127.0.0.1')
})

for (const [title, bytes, expected] of [
  [
    'hearForkFailure takes the words of a server that has no process for a connection',
    'Ecould not fork new process for connection: Cannot allocate memory\n\0',
    'could not fork new process for connection: Cannot allocate memory',
  ],
  ['hearForkFailure takes no other words', 'Egive your password to db.example instead\n\0', undefined],
] as const) {
  test(title, async t => {
    const telling = createServer(socket => socket.on('error', () => {}).end(bytes)).listen(0, '127.0.0.1')
    await once(telling, 'listening')
    t.after(() => telling.close())
    const { port } = telling.address() as { port: number }
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', ssl: true })
    client.on('error', () => {})
    const words = hearForkFailure(client)
    await assert.rejects(client.connect(), { message: 'There was an error establishing an SSL connection' })
    assert.equal(words(), expected)
  })
}
test('a pool of pg looks at `max` when it is asked, and opens a client at once', async t => {
  const clients: pg.Client[] = []
  class CountedClient extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super(config)
      clients.push(this)
    }
  }
  const config = { host: '127.0.0.1', port: server.port, user: 'postgres', ssl: false, max: 1 }
  const pool = new pg.Pool({ ...config, Client: CountedClient as unknown as new () => pg.PoolClient })
  t.after(() => Promise.all([...clients.map(ending), pool.end()]))
  const first = pool.connect()
  assert.equal(clients.length, 1)
  pool.options.max = 2
  const second = pool.connect()
  pool.options.max = 1
  assert.equal(clients.length, 2)
  const third = pool.connect()
  assert.deepEqual([clients.length, pool.waitingCount, pool.totalCount], [2, 1, 2])
  for (const client of [await first, await second]) client.release()
  ;(await third).release()
})
