// What a connection of mysql2/promise does with its session, whoever made it.
import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable } from 'node:stream'
import type { FieldPacket } from 'mysql2'
import type { Connection } from 'mysql2/promise'
import { type Behaviour, describeError, failureOf, settle, until } from '../../../support/side-by-side.ts'
import { coreOf, rowsOf } from './mysql-queries.ts'

const numbers = 'SELECT 1 AS n UNION SELECT 2 UNION SELECT 3'

export const mysqlSessions: readonly Behaviour<Connection>[] = [
  {
    name: 'tells callbacks',
    run: async db => {
      const told = (...given: unknown[]) =>
        new Promise(resolve => {
          const query = coreOf(db).query as (...given: unknown[]) => { constructor: { name: string } }
          const command = query.call(
            coreOf(db),
            ...given,
            (error: Error | null, rows: unknown, fields?: FieldPacket[]) =>
              setImmediate(() =>
                resolve([command.constructor.name, error && describeError(error), rows, fields?.length]),
              ),
          )
        })
      return [
        await told('SELECT 1 AS n'),
        await told('SELECT ? AS n', [2]),
        await told({ sql: 'SELECT 3 AS n' }),
        await told('SELECT nothing'),
      ]
    },
  },
  {
    name: 'streams rows, and emits them',
    run: async db => {
      const streamed = await coreOf(db).query(numbers).stream().toArray()
      const heard: unknown[] = []
      const command = coreOf(db).query(numbers)
      for (const event of ['fields', 'result', 'end', 'error'] as const)
        command.on(event, (given: unknown) => heard.push([event, event === 'result' ? given : undefined]))
      await until(() => heard.some(entry => (entry as string[])[0] === 'end'))
      const failed = await failureOf(coreOf(db).query('SELECT nothing').stream().toArray())
      return [streamed, heard, failed, await rowsOf(db, 'SELECT 1 AS n')]
    },
  },
  {
    name: 'begins, commits and rolls back',
    run: async db => {
      await db.query('CREATE TEMPORARY TABLE kept (n int) ENGINE = InnoDB')
      const insert = async (n: number, end: 'commit' | 'rollback') => {
        await db.beginTransaction()
        await db.query('INSERT INTO kept VALUES (?)', [n])
        await db[end]()
      }
      await insert(1, 'commit')
      await insert(2, 'rollback')
      return rowsOf(db, 'SELECT n FROM kept')
    },
  },
  {
    name: 'becomes another session of the same user',
    run: async db => {
      await db.query('SET @mine = 1')
      await db.changeUser({ database: 'information_schema' })
      return [
        await rowsOf(db, 'SELECT DATABASE() AS db, @mine AS mine'),
        await failureOf(db.changeUser({ database: 'nowhere' })),
      ]
    },
  },
  {
    name: 'is asked for a sign of life, and is reset',
    run: async db => {
      await db.query('SET @mine = 1')
      const reset = await failureOf(coreOf(db).promise().reset())
      return [await db.ping(), reset, await rowsOf(db, 'SELECT @mine AS mine')]
    },
  },
  {
    name: 'calls back in the context in which its socket was opened',
    run: async db => {
      const context = new AsyncLocalStorage<string>()
      return context.run(
        'caller',
        () => new Promise(resolve => coreOf(db).query('SELECT 1', () => resolve([context.getStore()]))),
      )
    },
    differs: {
      documented: 'runs in the asynchronous context (`AsyncLocalStorage`) that sent the query',
      product: { value: ['caller'] },
      sides: ['iamMysql', 'a connection of iamMysqlPool', 'a connection of createMysqlPool'],
    },
  },
  {
    name: 'sends a file that is no file',
    client: { flags: ['+LOCAL_FILES'] },
    run: async db => {
      await db.query('CREATE TEMPORARY TABLE loaded (n int, word varchar(9))')
      const sql = `LOAD DATA LOCAL INFILE 'any' INTO TABLE loaded FIELDS TERMINATED BY ','`
      const [header] = await db.query({
        sql,
        infileStreamFactory: () => Readable.from([Buffer.from('1,one\n2,'), Buffer.from('two\n')]),
      } as never)
      return [
        header,
        await rowsOf(db, 'SELECT * FROM loaded'),
        await failureOf(db.query(sql)),
        await rowsOf(db, 'SELECT 1 AS n'),
      ]
    },
  },
  {
    name: 'is ended by itself, once and again',
    run: async db => {
      const heard: unknown[] = []
      db.on('end' as never, () => heard.push('end'))
      db.on('error', error => heard.push(['error', error.message]))
      const first = await failureOf(db.end())
      await settle()
      const late = await failureOf(db.query('SELECT 1'))
      return [first, late, await failureOf(db.execute('SELECT 1')), await failureOf(db.ping()), heard]
    },
  },
  {
    name: 'tells of a session that the server ended',
    run: async db => {
      const heard: unknown[] = []
      // Without one, the process would end.
      db.on('error', error => heard.push(error.code))
      const id = db.threadId
      const failure = (await failureOf(db.query(`KILL ${id}`))) as { code?: string }
      await until(() => (coreOf(db) as unknown as { _closing: boolean })._closing || heard.length > 0)
      await settle()
      return [typeof failure.code, heard.length > 0, await failureOf(db.query('SELECT 1'))]
    },
  },
  {
    name: 'is destroyed',
    run: async db => {
      db.destroy()
      await settle()
      return failureOf(db.query('SELECT 1'))
    },
  },
]
