// What only MySQL and mysql2 have.
import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { mock, test } from 'node:test'
import { Signer } from '@aws-sdk/rds-signer'
import middy from '@middy/core'
import mysql from 'mysql2'
import type { Connection, Pool, PoolConnection, ResultSetHeader, RowDataPacket } from 'mysql2/promise'
import * as promises from 'mysql2/promise'
import { makeAuthority } from '../../../kit/src/index.ts'
import { createSession } from '../../../src/drivers/mysql2/session.ts'
import {
  type IamMysqlOptions,
  type IamMysqlPoolOptions,
  iamMysql,
  iamMysqlPool,
  type TokenSigner,
} from '../../../src/mysql2.ts'
import { credentials, findMysqlKinds, useMysql } from '../../support/database.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { packet, startRecordingMysqlServer } from '../../support/recording-mysql-server.ts'
import { holdTests } from '../../support/registration.ts'
import { untilTriedAgain } from '../../support/time.ts'

const allRegistered = holdTests()

function createHandler(options: IamMysqlOptions) {
  const handler = middy<(connection: Connection) => unknown>()
    .use(iamMysql(options))
    .handler((run, context) => run(context.db))
  return async (run: (connection: Connection) => unknown) => handler(run, lambdaContext() as never)
}

function createPoolHandler(options: IamMysqlPoolOptions) {
  const handler = middy<(pool: Pool) => unknown>()
    .use(iamMysqlPool(options))
    .handler((run, context) => run(context.db))
  return async (run: (pool: Pool) => unknown) => handler(run, lambdaContext() as never)
}

const rowsOf = async (db: Connection | Pool, sql: string) =>
  (await db.query<RowDataPacket[]>(sql))[0].map(row => ({ ...row }))

const { kinds, missing } = findMysqlKinds()
test('has MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

for (const kind of kinds) {
  const { mysql: server, gate } = await useMysql(kind)
  await server.query(
    `CREATE PROCEDURE begin_and_fail() BEGIN START TRANSACTION; SELECT nothing FROM nowhere; END`,
    'notes',
  )
  await server.query('CREATE TABLE once (id int PRIMARY KEY) ENGINE=InnoDB', 'notes')

  test(`${kind}: gives a Connection of mysql2/promise, authenticated as the user over TLS`, async () => {
    const { decisions, options } = await gate()
    const rows = await createHandler(options)(connection => {
      assert.ok(connection instanceof promises.Connection)
      return rowsOf(connection, 'SELECT CURRENT_USER() AS user, DATABASE() AS name')
    })
    assert.deepEqual(rows, [{ user: 'notes_app@%', name: 'notes' }])
    assert.equal(decisions[0]?.tls?.version, 'TLSv1.3')
  })

  test(`${kind}: needs no database`, async () => {
    const { options } = await gate()
    const { database: _, ...rest } = options
    assert.deepEqual(await createHandler(rest)(db => rowsOf(db, 'SELECT DATABASE() AS name')), [
      { name: null },
    ])
  })

  test(`${kind}: passes the options of mysql2 on`, async () => {
    const { options } = await gate()
    const handler = createHandler({
      ...options,
      client: {
        multipleStatements: true,
        namedPlaceholders: true,
        compress: true,
        decimalNumbers: true,
        typeCast: (field, next) => (field.type === 'LONGLONG' ? 'cast' : next()),
        connectAttributes: { program_name: 'orders' },
      },
    })
    await handler(async db => {
      assert.deepEqual((await db.query<RowDataPacket[][]>('SELECT 1.5 AS a; SELECT COUNT(*) AS b'))[0], [
        [{ a: 1.5 }],
        [{ b: 'cast' }],
      ])
      const [named] = await db.query<RowDataPacket[]>('SELECT :text AS text', { text: 'ä€😀' })
      assert.deepEqual(named, [{ text: 'ä€😀' }])
      const long = 'x'.repeat(100_000)
      assert.equal(
        (await db.query<RowDataPacket[]>('SELECT :long AS long_one', { long }))[0][0]?.long_one,
        long,
      )
    })
  })

  for (const resetSession of [false, true]) {
    test(`${kind}: runs prepared statements over many invocations, resetSession being ${resetSession}`, async () => {
      const { options } = await gate()
      const handler = createHandler({ ...options, resetSession })
      for (let count = 0; count < 3; count += 1) {
        assert.deepEqual(
          await handler(
            async db => (await db.execute<RowDataPacket[]>('SELECT ? AS text', [`ä${count}`]))[0],
          ),
          [{ text: `ä${count}` }],
        )
      }
    })
  }

  test(`${kind}: rolls back whatever way a transaction was left open, and knows where none is`, async () => {
    const { gateway, options } = await gate()
    const logger = recordingLogger()
    const handler = createHandler({ ...options, logger, client: { multipleStatements: true } })
    for (const [sql, isOpen] of [
      ['BEGIN; SELECT 1', true],
      ['START TRANSACTION; SELECT nonsense', true],
      ['SET autocommit = 0; SELECT * FROM note', true],
      ['SET autocommit = 0; INSERT INTO once VALUES (1), (1)', true],
      ['SET autocommit = 1', false],
      ['CALL begin_and_fail()', true],
      ['BEGIN; COMMIT; SELECT 1', false],
      ['BEGIN; CREATE TABLE IF NOT EXISTS made (x int); DROP TABLE made', false],
      ['SELECT nonsense', false],
      ["SELECT '' AS a, 1 UNION ALL SELECT '', 2", false],
    ] as const) {
      logger.lines.length = 0
      await handler(db => db.query(sql).catch(() => {}))
      // What the server has not said by then, it says before the next invocation.
      await handler(async () => {})
      assert.equal(logger.warnings().length, isOpen ? 1 : 0, sql)
    }
    await handler(async db => {
      await db.beginTransaction()
      await db.execute('INSERT INTO note VALUES (?)', ['prepared'])
    })
    assert.equal(logger.warnings().length, 1)
    await handler(async db => {
      await db.beginTransaction()
      const statement = await db.prepare('COMMIT')
      await statement.execute([])
      await statement.close()
    })
    assert.equal(logger.warnings().length, 1)
    await handler(async db => {
      await db.beginTransaction()
      await db.prepare('DO 1')
    })
    await handler(async () => {})
    assert.equal(logger.warnings().length, 2, 'the answer to a preparation tells nothing of transactions')
    assert.deepEqual(await handler(db => rowsOf(db, 'SELECT text FROM note')), [])
    assert.equal(gateway.stats().connections, 1)
  })

  for (const compress of [false, true]) {
    test(`${kind}: follows transactions on mysql2 itself, compress being ${compress}`, async () => {
      const core = mysql.createConnection({ port: server.port, user: 'root', database: 'notes', compress })
      await once(core, 'connect')
      const session = createSession(core, { user: 'root', database: '', isResetChosen: true })
      const db = core.promise()
      for (const [sql, expected] of [
        ['SELECT 1', false],
        ['BEGIN', true],
        ["SELECT '' AS empty UNION ALL SELECT '' FROM note", true],
        ['SELECT nonsense', true],
        ['ROLLBACK', false],
        ['SELECT nonsense', undefined],
        ['SELECT 1', false],
      ] as const) {
        await db.query(sql).catch(() => {})
        assert.equal(session.isInTransaction(), expected, sql)
      }
      await db.query('BEGIN')
      const stream = core.query("SELECT '' AS a FROM information_schema.columns").stream({ highWaterMark: 1 })
      for await (const _ of stream) await new Promise(resolve => setImmediate(resolve))
      assert.equal(session.isInTransaction(), true, 'a result that was paused')
      await db.end()
    })
  }

  test(`${kind}: gives a fresh token where the handler authenticates again`, async () => {
    const { decisions, options } = await gate()
    const handler = createHandler(options)
    await handler(async db => {
      await db.changeUser({ database: 'information_schema' })
      assert.deepEqual(await rowsOf(db, 'SELECT DATABASE() AS name'), [{ name: 'information_schema' }])
    })
    assert.deepEqual(
      decisions.map(({ verdict }) => verdict),
      ['admitted', 'admitted'],
    )
  })

  test(`${kind}: says so where the handler becomes another user, and does not give that connection again`, async () => {
    const { gateway, options } = await gate()
    const handler = createHandler(options)
    await handler(async db => {
      await assert.rejects(
        db.changeUser({ user: 'root' }),
        /signed for notes_app, and root cannot authenticate/,
      )
    })
    assert.deepEqual(await handler(db => rowsOf(db, 'SELECT CURRENT_USER() AS user')), [
      { user: 'notes_app@%' },
    ])
    assert.equal(gateway.stats().refused, 0)
  })

  test(`${kind}: survives a pool's connection that is killed while idle and while it is used`, async () => {
    const { options } = await gate()
    const handler = createPoolHandler({ ...options, max: 2 })
    await handler(async pool => {
      const [row] = await rowsOf(pool, 'SELECT CONNECTION_ID() AS id')
      await server.query(`KILL ${row?.id}`)
      const { _allConnections: all } = pool.pool as unknown as { _allConnections: { length: number } }
      while (all.length > 0) await new Promise(resolve => setImmediate(resolve))
      const one = await pool.getConnection()
      const running = assert.rejects(one.query('SELECT SLEEP(30)'))
      await server.query(`KILL ${one.threadId}`)
      await running
      // The server says first that it kills the connection, and closes it a moment later.
      const { stream } = (one as unknown as { connection: { stream: Socket } }).connection
      while (stream.readable) await new Promise(resolve => setImmediate(resolve))
      one.release()
      await rowsOf(pool, 'SELECT 1')
    })
  })

  test(`${kind}: gives every new connection of a pool a token, and opens no more than \`max\``, async () => {
    const { gateway, options } = await gate()
    const handler = createPoolHandler({ ...options, max: 3 })
    await handler(pool =>
      Promise.all(Array.from({ length: 12 }, () => pool.query('SELECT SLEEP(0.02), CONNECTION_ID()'))),
    )
    const { connections, admitted } = gateway.stats()
    assert.deepEqual({ connections, admitted }, { connections: 3, admitted: 3 })
  })

  test(`${kind}: runs queries and prepared statements of the pool itself on one connection`, async () => {
    const { gateway, options } = await gate()
    const logger = recordingLogger()
    const handler = createPoolHandler({ ...options, logger, max: 1 })
    await handler(async pool => {
      for (let count = 0; count < 5; count += 1) {
        await pool.query('SELECT 1')
        await pool.execute('SELECT ?', [count])
        await assert.rejects(pool.query('SELECT nonsense'), { code: 'ER_BAD_FIELD_ERROR' })
      }
      await pool.query<ResultSetHeader>('INSERT INTO note VALUES (NULL)')
      await pool.query('DELETE FROM note')
    })
    assert.deepEqual(logger.warnings(), [])
    assert.equal(gateway.stats().connections, 1)
  })

  test(`${kind}: says once that the pool's own queue is full`, async t => {
    const { options } = await gate()
    const client = { queueLimit: 1 }
    const handler = createPoolHandler({ ...options, client, max: 1 })
    await handler(async pool => {
      const taken = await pool.getConnection()
      t.mock.timers.enable({ apis: ['setTimeout'] })
      let answers = 0
      const queued = pool.query('SELECT 1').finally(() => {
        answers += 1
      })
      await assert.rejects(pool.query('SELECT 2'), { code: 'RDS_IAM_THROTTLED', message: /Queue limit/ })
      await assert.rejects(
        new Promise((_resolve, reject) => {
          pool.pool.getConnection(error => {
            answers += 1
            reject(error)
          })
        }),
        { code: 'RDS_IAM_THROTTLED' },
      )
      // Longer than any of them waits.
      t.mock.timers.tick(10_000)
      await assert.rejects(queued, { code: 'RDS_IAM_THROTTLED', message: /max is 1/ })
      await new Promise(resolve => setImmediate(resolve))
      t.mock.timers.reset()
      assert.equal(answers, 2)
      taken.release()
      await pool.query('SELECT 3')
    })
  })

  test(`${kind}: puts no token where mysql2 keeps its configuration`, async () => {
    const { options } = await gate()
    await createHandler(options)(db => {
      const { password, ssl } = (db as unknown as { config: Record<string, unknown> }).config
      assert.equal(password, undefined)
      assert.equal((ssl as { verifyIdentity: boolean }).verifyIdentity, true)
    })
  })
}

const authority = await makeAuthority()
const certificate = await authority.issue({ names: ['localhost'] })
const fakeOptions = (port: number) => ({
  ...{ host: 'localhost', port, user: 'app', region: 'eu-west-1', credentials },
  tls: { ca: authority.ca },
})

for (const create of [createHandler, createPoolHandler]) {
  const take = async (db: Connection | Pool) => ('getConnection' in db ? db.getConnection() : db)

  test(`gives a fresh token to a server that asks for it again when the user is changed, ${create.name}`, async () => {
    const server = await startRecordingMysqlServer({ certificate })
    let signed = 0
    const signer: TokenSigner = async ({ host: hostname, port, region, user: username }) => {
      signed += 1
      // Signed 70 of its 900 seconds ago: beyond a margin of 840, so that it serves once.
      mock.timers.enable({ apis: ['Date'], now: Date.now() - 70_000 })
      try {
        return await new Signer({ hostname, port, region, username, credentials }).getAuthToken()
      } finally {
        mock.timers.reset()
      }
    }
    const options = { ...fakeOptions(server.port), signer, tokenMarginMs: 840_000 }
    await create(options)(async (db: Connection | Pool) => {
      const connection = await take(db)
      await connection.changeUser({ user: 'app' })
      connection.destroy()
      await db.end()
    })
    assert.equal((await server.received()).split('X-Amz-Signature=').length - 1, 2)
    assert.equal(signed, 2)
  })

  test(`does not give a connection again that has become another user’s, ${create.name}`, async () => {
    const server = await startRecordingMysqlServer({ certificate, trustsSessions: true })
    const handler = create(fakeOptions(server.port))
    await handler(async (db: Connection | Pool) => {
      const connection = await take(db)
      await connection.changeUser({ user: 'other' })
      if ('getConnection' in db) (connection as PoolConnection).release()
    })
    await handler(async (db: Connection | Pool) => {
      await db.query('DO 1')
      await db.end()
    })
    assert.equal(server.connections(), 2)
  })

  test(`leaves no socket to a server that refuses and then keeps still, ${create.name}`, async t => {
    const server = createServer({ allowHalfOpen: true })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const ended = once(server, 'connection').then(async ([socket]) => {
      socket.write(packet(0, Buffer.from('\xff\x10\x04#08004Too many connections', 'latin1')))
      socket.resume()
      await once(socket, 'end')
      // Only where nobody is there any more is the server told so.
      const timer = setInterval(() => socket.write('x'), 5)
      const [error] = await once(socket, 'close').catch(error => [error])
      clearInterval(timer)
      return error
    })
    const { port } = server.address() as AddressInfo
    await assert.rejects(
      untilTriedAgain(() => create(fakeOptions(port))((db: Connection | Pool) => db.query('DO 1'))),
      { code: 'RDS_IAM_THROTTLED', message: /Too many connections/ },
    )
    assert.match(String(await ended), /EPIPE|ECONNRESET|true/)
  })
}

test('gives no connection of a pool that has just been destroyed, and survives one that fails twice', async () => {
  const server = await startRecordingMysqlServer({ certificate })
  await createPoolHandler({ ...fakeOptions(server.port), max: 2 })(async pool => {
    const taken = await pool.getConnection()
    taken.release()
    ;(taken.connection as unknown as { stream: Socket }).stream.destroy()
    await pool.query('DO 1')
    assert.equal(server.connections(), 2)
    const one = await pool.getConnection()
    const failed = pool.getConnection()
    const { _allConnections: all } = pool.pool as unknown as {
      _allConnections: { get(index: number): EventEmitter }
    }
    const opening = all.get(1)
    for (const message of ['once', 'twice']) opening.emit('error', new Error(message))
    await assert.rejects(failed, { code: 'RDS_IAM_UNREACHABLE', message: /once/ })
    one.release()
    await pool.end()
  })
})

allRegistered()
