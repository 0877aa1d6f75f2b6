// The contract with mysql2: what src/drivers/mysql2/internals.ts relies on, shown by what it does on a real server.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { after, test } from 'node:test'
import mysql, { type Connection, type Pool, type PoolConnection } from 'mysql2'
import { NotInstalled } from '../../../kit/src/database/not-installed.ts'
import {
  addSent,
  characterSetOf,
  coreOf,
  countsOf,
  destroy,
  endPolitely,
  forgetStatements,
  type GetCallback,
  interceptPool,
  isClosed,
  isEnding,
  isGivenUp,
  isInPool,
  isRunning,
  type PoolHooks,
  removeFromPool,
  runningSql,
  setCharacterSet,
  streamOf,
  takesAttributes,
  unrefTimer,
  watchCommands,
  watchPackets,
} from '../../../src/drivers/mysql2/internals.ts'
import { startMysql } from '../../support/servers.ts'

const server = await startMysql().catch((error: unknown) => {
  if (error instanceof NotInstalled) return error
  throw error
})
const skip = server instanceof NotInstalled && server.message
if (!(server instanceof NotInstalled)) after(() => server.stop())
const options = {
  host: '127.0.0.1',
  port: server instanceof NotInstalled ? 0 : server.port,
  user: 'root',
  charset: 'utf8mb4_unicode_ci',
}

type Context = { after(end: () => unknown): void }

async function connect(t: Context): Promise<Connection> {
  const core = mysql.createConnection(options)
  core.on('error', () => {})
  t.after(() => destroy(core))
  await once(core, 'connect')
  assert.equal(core.state, 'authenticated')
  return core
}

const query = (core: Connection, sql: string) =>
  new Promise<unknown>((resolve, reject) =>
    core.query(sql, (error: Error | null, rows: unknown) => (error ? reject(error) : resolve(rows))),
  )

test('isRunning and isEnding follow a connection from its first query to its last', { skip }, async t => {
  const core = await connect(t)
  assert.deepEqual([isRunning(core), isEnding(core)], [false, false])
  const waiting = Promise.all([query(core, 'SELECT 1'), query(core, 'SELECT 2')])
  assert.equal(isRunning(core), true)
  const atItsEnd = await new Promise(resolve =>
    core.query('SELECT 3').once('end', () => resolve(isEnding(core))),
  )
  assert.equal(atItsEnd, true, 'mysql2 says that a query has ended before it has done with it')
  await waiting
  await new Promise(process.nextTick)
  assert.deepEqual([isRunning(core), isEnding(core)], [false, false])
  core.pause()
  assert.equal(isRunning(core), true, 'what is paused has not come to its end')
  core.resume()
})

test('watchPackets shows each message of the server, and the command that it is for', { skip }, async t => {
  const core = await connect(t)
  const headers: (number | undefined)[] = []
  watchPackets(core, ({ buffer, offset, end }, command) => {
    assert.ok(end > offset)
    assert.equal(typeof command?.next, 'function')
    headers.push(buffer[offset])
  })
  await query(core, 'DO 1')
  assert.deepEqual(headers, [0x00])
  await query(core, 'SELECT 1 FROM nothing').catch(() => {})
  assert.deepEqual(headers, [0x00, 0xff])
})

test('a character set is put back by number, encoding and name', { skip }, async t => {
  const core = await connect(t)
  const beginning = characterSetOf(core)
  assert.deepEqual(beginning, { charsetNumber: 224, clientEncoding: 'utf8' })
  await new Promise<void>((resolve, reject) =>
    core.changeUser({ charset: 'latin1_swedish_ci' }, error => (error ? reject(error) : resolve())),
  )
  assert.deepEqual(characterSetOf(core), { charsetNumber: 8, clientEncoding: 'latin1' })
  assert.equal(setCharacterSet(core, beginning), 'utf8mb4_unicode_ci')
  assert.deepEqual(characterSetOf(core), beginning)
  assert.equal(setCharacterSet(core, { charsetNumber: 0, clientEncoding: 'utf8' }), undefined)
})

test('addSent writes several messages at once, and waits for all their answers', { skip }, async t => {
  const core = await connect(t)
  const shown: unknown[] = []
  watchCommands(core, command => shown.push(command.sql) > 0)
  const send = (bytes: Buffer, answers: number) =>
    new Promise<Error | null>(resolve => addSent(core, bytes, answers, resolve))
  // https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_ping.html
  const ping = Buffer.of(1, 0, 0, 0, 14)
  // Before the text, no attributes in one set, where there may be any.
  const text = takesAttributes(core) ? [0, 1, 63] : [63]
  const wrong = Buffer.of(1 + text.length, 0, 0, 0, 3, ...text)
  assert.equal(await send(Buffer.concat([ping, ping, ping]), 3), null)
  const error = (await send(Buffer.concat([ping, wrong, ping]), 3)) as NodeJS.ErrnoException
  assert.equal(error.code, 'ER_PARSE_ERROR')
  const waiting = query(core, 'SELECT 1 AS one')
  const sent = send(Buffer.concat([ping, ping]), 2)
  assert.deepEqual(await waiting, [{ one: 1 }])
  assert.equal(await sent, null)
  assert.deepEqual(await query(core, 'SELECT 2 AS two'), [{ two: 2 }])
  assert.deepEqual(shown, ['SELECT 1 AS one', 'SELECT 2 AS two'])
  destroy(core)
  await once(streamOf(core), 'close').catch(() => {})
})

test('isGivenUp knows a query whose rows nobody hears of', { skip }, async t => {
  const core = await connect(t)
  const many = 'SELECT 1 FROM (SELECT 1 UNION ALL SELECT 2) a'
  assert.equal(isGivenUp(core), false, 'nothing runs')
  const waiting = query(core, many)
  assert.equal(isGivenUp(core), false)
  await waiting
  const stream = core.query(many).stream()
  assert.equal(isGivenUp(core), false)
  stream.destroy()
  assert.equal(isGivenUp(core), true)
  assert.deepEqual(await query(core, 'SELECT 2 AS two'), [{ two: 2 }])
})

test('forgetStatements closes none of them', { skip }, async t => {
  const core = await connect(t)
  const execute = () =>
    new Promise<unknown>((resolve, reject) =>
      core.execute('SELECT 1 AS one', (error: Error | null, rows: unknown) =>
        error ? reject(error) : resolve(rows),
      ),
    )
  await execute()
  const added: unknown[] = []
  watchCommands(core, command => added.push(command) > 0)
  forgetStatements(core)
  assert.equal(added.length, 0)
  assert.deepEqual(await execute(), [{ one: 1 }])
  assert.equal(added.length, 2, 'it is prepared again')
})

test('endPolitely says goodbye, and destroy does not', { skip }, async t => {
  for (const [end, isPolite] of [
    [endPolitely, true],
    [destroy, false],
  ] as const) {
    const core = await connect(t)
    const stream = streamOf(core)
    assert.ok(stream instanceof Socket)
    const before = stream.bytesWritten
    const closed = once(stream, 'close')
    end(core)
    await closed
    // COM_QUIT: a header of four bytes, and one.
    assert.equal(stream.bytesWritten - before, isPolite ? 5 : 0)
  }
})

test('coreOf leads from promises to what is below', { skip }, async t => {
  const core = await connect(t)
  assert.equal(coreOf(core.promise() as unknown as Parameters<typeof coreOf>[0]), core)
})

interface Intercepted {
  readonly pool: Pool
  readonly hooks: PoolHooks
  readonly acquired: GetCallback[]
  readonly acquiredAgain: GetCallback[]
  readonly released: PoolConnection[]
  readonly timedOut: PoolConnection[]
}

function createPool(t: Context): Intercepted {
  const pool = mysql.createPool({ ...options, connectionLimit: 2 })
  t.after(() => new Promise(resolve => pool.end(resolve)))
  const acquired: GetCallback[] = []
  const released: PoolConnection[] = []
  const timedOut: PoolConnection[] = []
  const acquiredAgain: GetCallback[] = []
  const hooks = interceptPool(pool, {
    acquire: callback => void acquired.push(callback),
    acquireAgain: callback => void acquiredAgain.push(callback),
    release(connection, makeRoom) {
      released.push(connection)
      if (!isInPool(connection)) makeRoom()
    },
    timeOut: connection => void timedOut.push(connection),
  })
  return { pool, hooks, acquired, acquiredAgain, released, timedOut }
}

const get = ({ hooks }: Intercepted) =>
  new Promise<{ opened: PoolConnection | undefined; connection: PoolConnection }>((resolve, reject) => {
    const opened = hooks.get((error, connection) => (error ? reject(error) : resolve({ opened, connection })))
  })

test('what asks a pool and what gives back to it comes here first', { skip }, async t => {
  const intercepted = createPool(t)
  const { pool, hooks, acquired, released } = intercepted
  assert.deepEqual([countsOf(pool), isClosed(pool)], [{ all: 0, idle: 0 }, false])
  pool.getConnection(() => {})
  pool.query('SELECT 1', () => {})
  assert.equal(acquired.length, 2)
  const { opened, connection } = await get(intercepted)
  assert.equal(opened, connection, 'the connection that mysql2 opens at once')
  assert.deepEqual([countsOf(pool), isInPool(connection)], [{ all: 1, idle: 0 }, true])
  connection.release()
  assert.deepEqual(released, [connection])
  assert.deepEqual(countsOf(pool), { all: 1, idle: 0 }, 'nothing came back by itself')
  hooks.putBack(connection)
  assert.deepEqual(countsOf(pool), { all: 1, idle: 1 })
  const again = await get(intercepted)
  assert.deepEqual([again.opened, again.connection], [undefined, connection], 'an idle one is not opened')
})

test('a connection that leaves its pool makes room, and gives a caller that waits its turn', {
  skip,
}, async t => {
  const intercepted = createPool(t)
  const { pool, acquired, acquiredAgain, released } = intercepted
  const { connection } = await get(intercepted)
  const other = await get(intercepted)
  const waiting = get(intercepted)
  waiting.catch(() => {})
  await new Promise(setImmediate)
  removeFromPool(connection)
  assert.equal(isInPool(connection), false)
  assert.deepEqual(released, [connection])
  assert.equal(countsOf(pool).all, 1)
  await new Promise(setImmediate)
  assert.equal(acquiredAgain.length, 1, 'mysql2 asks again on behalf of the caller that waits')
  assert.equal(acquired.length, 0)
  destroy(connection)
  destroy(other.connection)
  assert.equal(countsOf(pool).all, 0)
})

test('get opens one more where the pool is full and that is wanted, and the limit stays', {
  skip,
}, async t => {
  const intercepted = createPool(t)
  const { pool, hooks } = intercepted
  for (let count = 0; count < 2; count += 1) await get(intercepted)
  const { promise: got, resolve } = Promise.withResolvers<unknown>()
  const opened = hooks.get((_error, connection) => resolve(connection), true)
  assert.ok(opened !== undefined)
  assert.equal(await got, opened)
  assert.equal(countsOf(pool).all, 3)
  assert.equal(
    hooks.get(() => {}),
    undefined,
    'the next one waits',
  )
})

test('isClosed says that a pool has ended', { skip }, async () => {
  const pool = mysql.createPool(options)
  await new Promise(resolve => pool.end(resolve))
  assert.equal(isClosed(pool), true)
})

test('unrefTimer finds the timer by which a pool looks for idle connections', async () => {
  const pool = mysql.createPool({ connectionLimit: 2, maxIdle: 1 })
  const timerOf = () =>
    (pool as unknown as { _removeIdleTimeoutConnectionsTimer: NodeJS.Timeout })
      ._removeIdleTimeoutConnectionsTimer
  const first = timerOf()
  assert.equal(first.hasRef(), true)
  unrefTimer(pool)
  assert.equal(first.hasRef(), false)
  ;(pool as unknown as { _removeIdleTimeoutConnections(): void })._removeIdleTimeoutConnections()
  assert.notEqual(timerOf(), first)
  assert.equal(timerOf().hasRef(), false)
  pool.end()
})

for (const name of ['query', 'execute'] as const) {
  test(`interceptPool says which connection a ${name} of the pool’s own had that timed out`, {
    skip,
  }, async t => {
    const { pool, hooks, acquired, timedOut } = createPool(t)
    const error = new Promise<{ code?: string } | null>(resolve =>
      pool[name]({ sql: 'SELECT SLEEP(0.3)', timeout: 20 }, (error: { code?: string } | null) =>
        resolve(error),
      ),
    )
    hooks.get(acquired[0] as GetCallback)
    assert.equal((await error)?.code, 'PROTOCOL_SEQUENCE_TIMEOUT')
    assert.equal(timedOut.length, 1)
  })
}

test('runningSql is the statement that was sent and not yet answered', { skip }, async t => {
  const core = await connect(t)
  assert.equal(runningSql(core), undefined)
  const running = query(core, 'SELECT 1')
  assert.equal(runningSql(core), 'SELECT 1')
  await running
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(runningSql(core), undefined)
})
