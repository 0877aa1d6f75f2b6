// What a pool of mysql2/promise does, whoever made it. It holds two connections at most.
import { EventEmitter } from 'node:events'
import type { Pool as CorePool } from 'mysql2'
import type { Pool, PoolConnection } from 'mysql2/promise'
import {
  type Behaviour,
  describeError,
  failureOf,
  listen,
  settle,
  thrownBy,
  until,
} from '../../../support/side-by-side.ts'

/** The pool with callbacks, below the one with promises. */
const coreOf = (pool: Pool) => (pool as unknown as { pool: CorePool }).pool

const rowsOf = async (db: Pick<Pool, 'query'>, sql: string, values?: unknown) =>
  (await db.query(sql, values as never))[0]

const idOf = async (db: Pick<Pool, 'query'>): Promise<unknown> =>
  ((await rowsOf(db, 'SELECT CONNECTION_ID() AS id')) as { id: number }[])[0]?.id

const warm = (pool: Pool) => pool.query('SELECT 1').then(settle)

export const mysqlPools: readonly Behaviour<Pool>[] = [
  {
    name: 'is an emitter above a pool with callbacks, whose connections have numbers',
    run: async pool => {
      const connection = await pool.getConnection()
      const is = {
        classes: [pool.constructor.name, coreOf(pool).constructor.name, connection.constructor.name],
        areEmitters: [pool, coreOf(pool), connection].map(each => each instanceof EventEmitter),
        isNumber: (await idOf(connection)) === connection.threadId,
      }
      connection.release()
      return is
    },
  },
  {
    name: 'queries, executes, formats and escapes',
    run: async pool => [
      await rowsOf(pool, 'SELECT ? AS a', ['b']),
      (await pool.execute('SELECT ? AS a', ['b']))[0],
      (await pool.query({ sql: 'SELECT 1, 2', rowsAsArray: true }))[0],
      await failureOf(pool.query('SELECT nothing')),
      await failureOf(pool.execute('SELEC')),
      pool.format('SELECT ?', ["it's"]),
      pool.escape(1),
      pool.escapeId('a'),
    ],
  },
  {
    name: 'emits connection, acquire, enqueue and release',
    run: async pool => {
      await warm(pool)
      const heard = listen(pool, ['connection', 'acquire', 'enqueue', 'release'])
      const one = await pool.getConnection()
      const two = await pool.getConnection()
      const third = pool.getConnection()
      await settle()
      heard.push('both')
      one.release()
      const three = await third
      heard.push('third')
      two.release()
      three.release()
      await settle()
      return heard
    },
  },
  {
    name: 'gives a connection that was released to who waited first',
    run: async pool => {
      const one = await pool.getConnection()
      const two = await pool.getConnection()
      const order: string[] = []
      const wait = async (name: string) => {
        const connection = await pool.getConnection()
        order.push(name)
        connection.release()
      }
      const waiting = [wait('first'), wait('second'), wait('third')]
      one.release()
      await Promise.all(waiting)
      two.release()
      return order
    },
  },
  {
    name: 'uses an idle connection again, and not one that was destroyed',
    run: async pool => {
      const ids: unknown[] = []
      const take = async (give: (connection: PoolConnection) => unknown) => {
        const connection = await pool.getConnection()
        ids.push(await idOf(connection))
        give(connection)
        await settle()
      }
      await take(connection => connection.release())
      await take(connection => pool.releaseConnection(connection))
      await take(connection => connection.destroy())
      await take(connection => connection.release())
      return [ids[0] === ids[1], ids[1] === ids[2], ids[2] === ids[3]]
    },
  },
  {
    name: 'is told twice of a connection that is released',
    run: async pool => {
      const connection = await pool.getConnection()
      connection.release()
      const again = thrownBy(() => connection.release())
      await settle()
      const [one, two] = await Promise.all([pool.getConnection(), pool.getConnection()])
      const areTwo = one.threadId !== two.threadId
      one.release()
      two.release()
      return [again, areTwo]
    },
  },
  {
    name: 'keeps the connection of a query that failed',
    run: async pool => {
      const id = await idOf(pool)
      await failureOf(pool.query('SELECT nothing'))
      return (await idOf(pool)) === id
    },
  },
  {
    name: 'tells callbacks',
    run: async pool => {
      const queried = await new Promise(resolve =>
        coreOf(pool).query('SELECT 1 AS n', (error, rows) => resolve([error && describeError(error), rows])),
      )
      const failed = await new Promise(resolve =>
        coreOf(pool).execute('SELECT nothing', (error: Error | null) =>
          resolve(error && describeError(error)),
        ),
      )
      const got = await new Promise(resolve =>
        coreOf(pool).getConnection((error, connection) => {
          connection.query('SELECT 2 AS n', (inner, rows) => {
            connection.release()
            resolve([error, inner, rows])
          })
        }),
      )
      return [queried, failed, got]
    },
  },
  {
    name: 'streams rows of a query of its own',
    run: async pool => {
      const rows = await coreOf(pool).query('SELECT 1 AS n UNION SELECT 2').stream().toArray()
      return [rows, await rowsOf(pool, 'SELECT 1 AS n')]
    },
  },
  {
    name: 'turns callers away where nobody may wait',
    client: { waitForConnections: false },
    run: async pool => {
      const taken = [await pool.getConnection(), await pool.getConnection()]
      const failure = await failureOf(pool.getConnection())
      for (const connection of taken) connection.release()
      const { code, message } = failure as { readonly code?: string; readonly message: string }
      return code ?? message
    },
    differs: {
      documented: '`timeout exceeded when trying to connect`, `No connections available.`',
      product: { value: 'RDS_IAM_THROTTLED' },
      sides: ['iamMysqlPool', 'createMysqlPool'],
    },
  },
  {
    name: 'lets no more callers wait than its option says',
    client: { queueLimit: 1 },
    run: async pool => {
      const taken = [await pool.getConnection(), await pool.getConnection()]
      const waiting = pool.getConnection()
      const failure = await failureOf(pool.getConnection())
      for (const connection of taken) connection.release()
      ;(await waiting).release()
      const { code, message } = failure as { readonly code?: string; readonly message: string }
      return code ?? message
    },
    differs: {
      documented: '`No connections available.`, `Queue limit reached.`',
      product: { value: 'RDS_IAM_THROTTLED' },
      sides: ['iamMysqlPool', 'createMysqlPool'],
    },
  },
  {
    name: 'has a new connection prepared by listeners',
    run: async pool => {
      pool.on('connection', connection => void connection.query('SET @prepared = 1'))
      const connections = await Promise.all([pool.getConnection(), pool.getConnection()])
      const rows = []
      // The first one may have been there before.
      await connections[0]?.query('SELECT 1')
      for (const connection of connections.slice(1))
        rows.push(await rowsOf(connection, 'SELECT @prepared AS prepared'))
      for (const connection of connections) connection.release()
      return rows
    },
  },
  {
    name: 'replaces an idle connection that the server ended',
    run: async pool => {
      const [one, two] = [await pool.getConnection(), await pool.getConnection()]
      const id = one.threadId
      one.release()
      await settle()
      await two.query(`KILL ${id}`)
      const free = (coreOf(pool) as unknown as { _allConnections: { length: number } })._allConnections
      await until(() => free.length === 1)
      two.release()
      return [(await idOf(pool)) === id, await rowsOf(pool, 'SELECT 1 AS n')]
    },
  },
  {
    name: 'is ended once and again, and refuses whoever comes after',
    run: async pool => {
      await warm(pool)
      return [
        await failureOf(pool.end()),
        await failureOf(pool.end()),
        await failureOf(pool.getConnection()),
        await failureOf(pool.query('SELECT 1')),
        await failureOf(pool.execute('SELECT 1')),
      ]
    },
  },
]
