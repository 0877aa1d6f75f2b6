// Whatever an invocation's code is called back by, it finds the context of that invocation, and none sticks to a connection.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import type { Connection as CoreConnection, Pool as CorePool } from 'mysql2'
import type { Pool as MysqlPool } from 'mysql2/promise'
import pg from 'pg'
import type { RdsIamOptions } from '../../../src/pg.ts'
import type { Taken } from '../../support/db.ts'
import { type Handler, sessionOf, useKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { runModule } from '../../support/node-process.ts'
import { createLambdaHandler } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const storage = new AsyncLocalStorage<number>()

/** Tells which invocation's context it is called in. */
type Note = (event: string) => void

type Calls = Readonly<Record<string, (connection: Taken, note: Note) => Promise<void>>>

const raise = "DO $$ BEGIN RAISE NOTICE 'said'; END $$"

const ofPostgres: Calls = {
  async 'a listener for notices'(connection, note) {
    const hear = (): void => note('notice')
    const client = connection.raw as pg.Client
    client.on('notice', hear)
    await connection.query(raise)
    client.off('notice', hear)
  },
  'a callback of query()': ({ raw }, note) =>
    new Promise(resolve => {
      ;(raw as pg.Client).query('SELECT 1', () => {
        note('callback')
        resolve()
      })
    }),
  'a callback of a query that fails': ({ raw }, note) =>
    new Promise(resolve => {
      ;(raw as pg.Client).query('SELECT nonsense', () => {
        note('callback')
        resolve()
      })
    }),
  'listeners of a pg.Query': ({ raw }, note) =>
    new Promise((resolve, reject) => {
      const query = (raw as pg.Client).query(new pg.Query('SELECT 1'))
      query.on('row', () => note('row')).on('error', reject)
      query.on('end', () => {
        note('end')
        resolve()
      })
    }),
}

const coreOf = ({ raw }: Taken): CoreConnection => (raw as { connection: CoreConnection }).connection

const ofMysql: Calls = {
  'a callback of query()': (connection, note) =>
    new Promise(resolve => {
      coreOf(connection).query('SELECT 1', () => {
        note('callback')
        resolve()
      })
    }),
  'a callback of execute()': (connection, note) =>
    new Promise(resolve => {
      coreOf(connection).execute('SELECT 1', () => {
        note('callback')
        resolve()
      })
    }),
  'listeners of a query': (connection, note) =>
    new Promise((resolve, reject) => {
      const query = coreOf(connection).query('SELECT 1')
      query.on('fields', () => note('fields')).on('result', () => note('result'))
      query.on('error', reject).on('end', () => {
        note('end')
        resolve()
      })
    }),
}

/** Runs invocations one after another, each in a context of its own, and gives back what each of them noted. */
async function noteIn(handler: Handler, calls: (connection: Taken, note: Note) => Promise<void>) {
  const noted: (readonly [event: string, context: number | undefined])[][] = []
  for (let invocation = 0; invocation < 3; invocation += 1) {
    const own: (readonly [string, number | undefined])[] = []
    noted.push(own)
    const run = () =>
      handler(async db => {
        const connection = await db.take()
        await calls(connection, event => void own.push([event, storage.getStore()]))
        connection.release()
      }, lambdaContext())
    await storage.run(invocation, run)
  }
  return noted
}

for (const kind of kinds) {
  const { name, sql, isPool, gate } = kind
  const isPostgres = /Pg/.test(name)
  for (const [callee, calls] of Object.entries(isPostgres ? ofPostgres : ofMysql)) {
    test(`${name} has ${callee} called in the context of the invocation that runs the query`, async () => {
      const { gateway, options } = await gate()
      const noted = await noteIn(createLambdaHandler(kind, { ...options, max: 1 }), calls)
      for (const [invocation, events] of noted.entries()) {
        assert.ok(events.length > 0)
        for (const [event, context] of events) assert.equal(context, invocation, event)
      }
      assert.equal(gateway.stats().connections, 1)
    })
  }

  if (isPool) {
    test(`${name} has a callback of the pool's own query called in the context of the invocation`, async () => {
      const { options } = await gate()
      const handler = createLambdaHandler(kind, { ...options, max: 1 })
      for (let invocation = 0; invocation < 3; invocation += 1) {
        const seen = await storage.run(invocation, () =>
          handler(({ raw }) => {
            const pool = (isPostgres ? raw : (raw as MysqlPool & { pool: CorePool }).pool) as CorePool
            return new Promise(resolve => pool.query('SELECT 1', () => resolve(storage.getStore())))
          }, lambdaContext()),
        )
        assert.equal(seen, invocation)
      }
    })

    test(`${name} has listeners for new connections called in no context of an invocation, because the connection is everybody's`, async () => {
      const { options } = await gate()
      const seen: unknown[] = []
      /** Notes the context where a connection is new: a reset may call a hook again. */
      const createNote = () => {
        const known = new WeakSet<object>()
        return (connection: object): void => {
          if (!known.has(connection)) seen.push(storage.getStore())
          known.add(connection)
        }
      }
      const wrap = (pool: pg.Pool & MysqlPool) => {
        pool.on(isPostgres ? 'connect' : ('connection' as never), createNote())
        return pool
      }
      const client = isPostgres ? { onConnect: createNote() } : {}
      const handler = createLambdaHandler(kind, { ...options, wrap, client, max: 2 } as RdsIamOptions)
      await storage.run(1, () => handler(sessionOf(sql), lambdaContext()))
      seen.length = 0
      await storage.run(2, () =>
        handler(async db => {
          const connections = [await db.take(), await db.take()]
          for (const connection of connections) await connection.query(sql.session)
          for (const connection of connections) connection.release()
        }, lambdaContext()),
      )
      assert.ok(seen.length > 0)
      assert.deepEqual(
        seen.filter(context => context !== undefined),
        [],
      )
    })
  }

  test(`${name} lets go of the context of the invocation that opened the connection`, async () => {
    const { gateway, options } = await gate()
    const [factory = ''] = name.split(' ')
    const collected = await runModule(
      `import { AsyncLocalStorage } from 'node:async_hooks'
      import { setFlagsFromString } from 'node:v8'
      import { runInNewContext } from 'node:vm'
      import middy from '@middy/core'
      import { ${factory} } from 'middy-rds-iam/${isPostgres ? 'pg' : 'mysql2'}'
      setFlagsFromString('--expose-gc')
      const gc = runInNewContext('gc')
      const storage = new AsyncLocalStorage()
      const middleware = ${factory}(${JSON.stringify({ ...options, prefetch: false, max: 1 })})
      const handler = middy().use(middleware).handler((_, { db }) => db.query('SELECT 1'))
      const invoke = number => {
        const store = { number }
        const context = { awsRequestId: String(number), getRemainingTimeInMillis: () => 30_000 }
        return storage.run(store, () => handler({}, context)).then(() => new WeakRef(store))
      }
      const first = await invoke(0)
      for (let number = 1; number < 5; number += 1) await invoke(number)
      let turns = 0
      while (first.deref() !== undefined && turns < 20) {
        turns += 1
        await new Promise(resolve => setTimeout(resolve, 5))
        gc()
      }
      console.log(JSON.stringify(first.deref() === undefined))
      await middleware.close()`,
      { AWS_LAMBDA_FUNCTION_NAME: 'notes', AWS_REGION: 'eu-west-1' },
    )
    assert.equal(collected, true)
    assert.equal(gateway.stats().connections, 1)
  })
}
