// What isolation between invocations costs: no round trip before the response, and nothing where no statement was run.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { TLSSocket } from 'node:tls'
import type { Db } from '../../support/db.ts'
import { type Kind, sessionOf, useKinds } from '../../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { startRelay } from '../../support/relay.ts'
import { createLambdaHandler, prepareServers, tell, until } from './invocations.ts'

const { kinds, missing } = await useKinds()
await prepareServers(kinds, () => ['CREATE TABLE held (number int)', 'INSERT INTO held VALUES (1)'])
for (const kind of kinds.filter(({ name }) => /Pg/.test(name))) {
  await kind.administer('GRANT ALL ON held TO notes_app')
}

test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

/** What one session can keep another one waiting by. */
interface Hold {
  readonly name: string
  readonly take: readonly string[]
  /** Succeeds where nobody holds it; does not wait. */
  readonly isFree: (kind: Kind) => Promise<boolean>
  readonly isOlderToo?: true
}

const first = async (kind: Kind, sql: string) =>
  Number(Object.values((await kind.administer(sql))[0] ?? {})[0])

const inPostgres: readonly Hold[] = [
  {
    name: 'an advisory lock',
    take: ['SELECT pg_advisory_lock(42)'],
    isFree: async kind =>
      (await first(kind, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) === 0,
  },
  {
    name: 'a row of an open transaction',
    take: ['BEGIN', 'UPDATE held SET number = number + 1'],
    isFree: kind =>
      kind.administer('SELECT number FROM held FOR UPDATE NOWAIT').then(
        () => true,
        () => false,
      ),
  },
]

const inMysql: readonly Hold[] = [
  {
    name: 'a lock of GET_LOCK()',
    take: ["SELECT GET_LOCK('held', 0)"],
    isFree: async kind => (await first(kind, "SELECT IS_FREE_LOCK('held')")) === 1,
  },
  {
    name: 'a row of an open transaction',
    take: ['BEGIN', 'UPDATE held SET number = number + 1'],
    async isFree(kind) {
      // Who reads this table more often than every 100 ms reads the same rows again.
      await new Promise(resolve => setTimeout(resolve, 150))
      return (await first(kind, 'SELECT COUNT(*) FROM information_schema.innodb_trx')) === 0
    },
    isOlderToo: true,
  },
  {
    name: 'a table of LOCK TABLES',
    take: ['LOCK TABLES held WRITE'],
    isFree: async kind =>
      (await kind.administer("SHOW OPEN TABLES WHERE `Table` = 'held' AND In_use > 0")).length === 0,
    isOlderToo: true,
  },
]

for (const kind of kinds) {
  const { name, sql, gate } = kind

  async function openThroughRelay() {
    const { gateway, options } = await gate()
    const relay = await startRelay(gateway.port)
    const endpoint = { host: 'localhost', port: gateway.port }
    const logger = recordingLogger()
    // A ping would be sent too.
    const given = { port: relay.port, endpoint, logger, max: 1, pingAfterIdleMs: false } as const
    return { gateway, relay, logger, handler: createLambdaHandler(kind, { ...options, ...given }) }
  }

  for (const { name: held, take, isFree, isOlderToo } of /Pg/.test(name) ? inPostgres : inMysql) {
    const skip = sql.canReset || isOlderToo ? false : 'MySQL before 5.7.3 has no COM_RESET_CONNECTION'
    test(`${name} answers before the server has answered, and has told it by then to let go of ${held}`, {
      skip,
      timeout: 10_000,
    }, async t => {
      const { gateway, relay, logger, handler } = await openThroughRelay()
      const session = await handler(sessionOf(sql), lambdaContext())
      t.after(() => mock.timers.reset())
      await handler(async db => {
        const connection = await db.take()
        for (const statement of take) await connection.query(statement)
        await until(async () => !(await isFree(kind)), 'it is held')
        // No answer comes from here on, and no timer that would give up waiting for one goes off.
        relay.stallAnswers()
        mock.timers.enable({ apis: ['setTimeout'] })
        connection.release()
      }, lambdaContext())
      mock.timers.reset()
      await until(() => isFree(kind), 'the server has let go')
      relay.resume()
      assert.equal(await handler(sessionOf(sql), lambdaContext()), session)
      assert.equal(gateway.stats().connections, 1)
      assert.ok(!logger.lines.some(({ fields }) => fields.event === 'connection:closed'))
    })
  }

  test(`${name} sends the response before it takes back what an invocation did`, {
    skip: sql.canReset ? false : 'MySQL before 5.7.3 has no COM_RESET_CONNECTION',
  }, async t => {
    const { handler } = await openThroughRelay()
    await handler(sessionOf(sql), lambdaContext())
    const write = t.mock.method(TLSSocket.prototype, 'write')
    let before = 0
    await handler(async db => {
      await db.query(sql.session)
      before = write.mock.callCount()
    }, lambdaContext())
    // The runtime sends the response here, in the turn of the event loop in which the handler has ended.
    assert.equal(write.mock.callCount(), before)
    await until(() => write.mock.callCount() > before, 'it is taken back')
  })

  test(`${name} sends the server nothing for an invocation that runs no statement`, async () => {
    const { gateway, relay, handler } = await openThroughRelay()
    const nothing = (_: Db) => 'nothing'
    const asked = await handler(async db => {
      await db.query(sql.session)
      return tell(db, sql.session)
    }, lambdaContext())
    // What that invocation had to take back comes with it, or before the next one.
    assert.deepEqual(await handler(db => tell(db, sql.session), lambdaContext()), asked)
    // What a pool takes back goes on while nobody asks it for a connection.
    await handler(db => tell(db, sql.session), lambdaContext())
    await handler(async db => void (await db.take()).release(), lambdaContext())
    await settled(relay.sentBytes)
    const before = relay.sentBytes()
    for (let count = 0; count < 3; count += 1) await handler(nothing, lambdaContext())
    await settled(relay.sentBytes)
    assert.equal(relay.sentBytes(), before)
    assert.equal(gateway.stats().connections, 1)
  })
}

/** Waits until a number has not changed for a hundred turns of the event loop. */
async function settled(read: () => number): Promise<void> {
  let last = read()
  for (let turns = 0; turns < 100; turns += 1) {
    await new Promise(resolve => setImmediate(resolve))
    if (read() === last) continue
    last = read()
    turns = 0
  }
}
