// What a pool of pg does, whoever made it. It holds two clients at most.
import { EventEmitter } from 'node:events'
import pg from 'pg'
import {
  type Behaviour,
  describeError,
  failureOf,
  listen,
  settle,
  thrownBy,
  until,
} from '../../../support/side-by-side.ts'

type Pool = pg.Pool

const counts = ({ totalCount, idleCount, waitingCount }: Pool) => ({ totalCount, idleCount, waitingCount })

/** Has the pool open its first client, whether or not somebody has before. */
const warm = (pool: Pool) => pool.query('SELECT 1').then(settle)

const pidOf = async (client: pg.ClientBase | Pool): Promise<number> =>
  (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid

export const pgPools: readonly Behaviour<Pool>[] = [
  {
    name: 'is a pg.Pool and an emitter, whose clients are pg.Clients',
    run: async pool => {
      const client = await pool.connect()
      const is = {
        isPool: pool instanceof pg.Pool,
        isEmitter: pool instanceof EventEmitter,
        isClient: client instanceof pg.Client,
      }
      client.release()
      return { ...is, max: pool.options.max, states: [pool.ended, pool.ending] }
    },
  },
  {
    name: 'counts clients that are idle and lent, and who waits',
    run: async pool => {
      await warm(pool)
      const seen = [counts(pool)]
      const one = await pool.connect()
      seen.push(counts(pool))
      const two = await pool.connect()
      seen.push(counts(pool))
      const third = pool.connect()
      await settle()
      seen.push(counts(pool))
      one.release()
      const three = await third
      seen.push(counts(pool))
      two.release()
      three.release()
      await settle()
      seen.push(counts(pool))
      return seen
    },
  },
  {
    name: 'emits connect, acquire, release and remove',
    run: async pool => {
      await warm(pool)
      const heard = listen(pool, ['connect', 'acquire', 'release', 'remove', 'error'])
      const one = await pool.connect()
      const two = await pool.connect()
      heard.push('both')
      one.release()
      await settle()
      heard.push('released')
      two.release(true)
      await until(() => heard.includes('remove'))
      return heard
    },
  },
  {
    name: 'gives a client that was released to who waited first',
    run: async pool => {
      const one = await pool.connect()
      const two = await pool.connect()
      const order: string[] = []
      const wait = async (name: string) => {
        const client = await pool.connect()
        order.push(name)
        client.release()
      }
      const waiting = [wait('first'), wait('second'), wait('third')]
      one.release()
      await Promise.all(waiting)
      two.release()
      return order
    },
  },
  {
    name: 'uses an idle client again, and closes one that is released with an error',
    run: async pool => {
      const pids: number[] = []
      const take = async (reason?: Error | boolean) => {
        const client = await pool.connect()
        pids.push(await pidOf(client))
        client.release(reason)
        await settle()
      }
      await take()
      await take()
      await take(new Error('no good'))
      await until(() => pool.totalCount === 0)
      await take()
      return [pids[0] === pids[1], pids[1] === pids[2], pids[2] === pids[3], counts(pool)]
    },
  },
  {
    name: 'throws where a client is released twice',
    run: async pool => {
      const client = await pool.connect()
      client.release()
      return [thrownBy(() => client.release()), (await pool.query('SELECT 1 AS n')).rows]
    },
  },
  {
    name: 'connects by a callback, with a function that releases',
    run: pool =>
      new Promise(resolve => {
        const returned = pool.connect((error, client, done) => {
          const isSame = done === client?.release
          done()
          resolve([typeof returned, error, typeof client?.query, typeof done, isSame])
        })
      }),
  },
  {
    name: 'queries by promise and by callback',
    run: async pool => {
      const tell = (...given: unknown[]) =>
        new Promise(resolve => {
          const callback = (error: Error | undefined, result?: pg.QueryResult) =>
            resolve([typeof returned, error && describeError(error), result?.rows])
          const returned = (pool.query as (...given: unknown[]) => unknown)(...given, callback)
        })
      return [
        (await pool.query('SELECT $1::int AS n', [1])).rows,
        (await pool.query({ text: 'SELECT 1, 2', rowMode: 'array' })).rows,
        await tell('SELECT 2 AS n'),
        await tell('SELECT $1::int AS n', [3]),
        await tell({ text: 'SELECT 4 AS n' }),
        await tell('SELECT nothing'),
        await failureOf(pool.query('SELECT nothing')),
        await new Promise(resolve => pool.query(((error: Error) => resolve(describeError(error))) as never)),
      ]
    },
  },
  {
    name: 'refuses what is no query, and goes on',
    run: async pool => [
      await failureOf(pool.query(undefined as never)),
      await failureOf(pool.query({} as never)),
      (await pool.query('SELECT 1 AS n')).rows,
    ],
  },
  {
    name: 'closes the client of a query that failed',
    run: async pool => {
      const pid = await pidOf(pool)
      await failureOf(pool.query('SELECT nothing'))
      await settle()
      return (await pidOf(pool)) === pid
    },
    differs: {
      documented: 'A query that fails keeps its connection',
      product: { value: true },
      sides: ['iamPgPool', 'createPgPool'],
    },
  },
  {
    name: 'tells of an idle client that the server ended, and gives another one',
    run: async pool => {
      const pid = await pidOf(pool)
      await settle()
      const heard: unknown[] = []
      pool.on('error', (error, client) => heard.push('error', error.message, typeof client.query))
      pool.on('remove', () => heard.push('remove'))
      const other = await pool.connect()
      const another = await pool.connect()
      const killer = (await pidOf(other)) === pid ? another : other
      const victim = killer === other ? another : other
      victim.release()
      await settle()
      await killer.query(`SELECT pg_terminate_backend(${pid})`)
      await until(() => heard.includes('remove'))
      killer.release()
      return [heard, (await pidOf(pool)) === pid]
    },
  },
  {
    name: 'is ended once, and refuses whoever comes after',
    run: async pool => {
      await warm(pool)
      const heard = listen(pool, ['remove', 'error'])
      const first = await failureOf(pool.end())
      return [
        first,
        [pool.ending, pool.ended, counts(pool)],
        await failureOf(pool.end()),
        await failureOf(pool.connect()),
        await failureOf(pool.query('SELECT 1')),
        heard,
      ]
    },
  },
  {
    name: 'waits at its end for clients that are lent, and tells a callback',
    run: async pool => {
      const client = await pool.connect()
      const order: string[] = []
      const ended = new Promise<void>(resolve => pool.end(resolve)).then(() => order.push('ended'))
      await settle()
      order.push((await client.query('SELECT 1 AS n')).rows.length === 1 ? 'query' : 'nothing')
      client.release()
      order.push('released')
      await ended
      return [order, counts(pool)]
    },
  },
  {
    name: 'has a new client prepared by listeners',
    run: async pool => {
      pool.on('connect', client => void client.query(`SET application_name TO 'prepared'`))
      const clients = await Promise.all([pool.connect(), pool.connect()])
      const rows = []
      // The first one may have been there before.
      await clients[0]?.query('SELECT 1')
      for (const client of clients.slice(1)) rows.push((await client.query('SHOW application_name')).rows)
      for (const client of clients) client.release()
      return rows
    },
  },
  {
    name: 'has a new client prepared by its hooks',
    client: {
      onConnect: (client: pg.ClientBase) => client.query(`SET application_name TO 'hooked'`),
      verify: (_client: pg.ClientBase, done: (error?: Error) => void) => done(),
    },
    run: async pool => (await pool.query('SHOW application_name')).rows,
  },
  {
    name: 'closes a client that was idle for a while',
    client: { idleTimeoutMillis: 20 },
    run: async pool => {
      const heard = listen(pool, ['remove'])
      await warm(pool)
      await until(() => heard.length > 0)
      return [heard, counts(pool)]
    },
  },
  {
    name: 'closes a client after its uses',
    client: { maxUses: 1 },
    run: async pool => {
      const pid = await pidOf(pool)
      await settle()
      return (await pidOf(pool)) === pid
    },
  },
]
