import { EventEmitter } from 'node:events'
import type { Connection as CoreConnection, FieldPacket, ResultSetHeader } from 'mysql2'
import type { Connection } from 'mysql2/promise'
import { type Behaviour, describeError, failureOf, thrownBy } from '../../../support/side-by-side.ts'

/** The connection with callbacks, below the one with promises. */
export const coreOf = (db: object) => (db as { connection: CoreConnection }).connection

export const rowsOf = async (db: Pick<Connection, 'query'>, sql: string, values?: unknown) =>
  (await db.query(sql, values as never))[0]

const fieldsOf = (fields: readonly FieldPacket[]) =>
  fields.map(({ name, columnType, flags }) => ({ name, columnType, flags }))

export const mysqlQueries: readonly Behaviour<Connection>[] = [
  {
    name: 'is an emitter with a number, above a connection with callbacks',
    run: async db => ({
      class: db.constructor.name,
      isEmitter: db instanceof EventEmitter,
      id: typeof db.threadId,
      isNumber:
        Number(((await rowsOf(db, 'SELECT CONNECTION_ID() AS id')) as { id: number }[])[0]?.id) ===
        db.threadId,
      isEmitterBelow: coreOf(db) instanceof EventEmitter,
    }),
  },
  {
    name: 'gives rows and fields',
    run: async db => {
      const [rows, fields] = await db.query(`SELECT 1 AS one, 'b' AS two, NULL AS three`)
      return [rows, fieldsOf(fields), (rows as object[])[0]?.constructor?.name]
    },
  },
  {
    name: 'takes values, and options of one query',
    run: async db => [
      await rowsOf(db, 'SELECT ? AS a, ?? FROM (SELECT 1 AS x) AS t', ['it’s', 'x']),
      (await db.query({ sql: 'SELECT ? AS a', values: [new Date(0)] }))[0],
      (await db.query({ sql: 'SELECT 1, 2', rowsAsArray: true }))[0],
      (await db.query({ sql: 'SELECT t.x FROM (SELECT 1 AS x) AS t', nestTables: true }))[0],
      (await db.query({ sql: 'SELECT 1 AS n', typeCast: (field, next) => `${field.name} ${next()}` }))[0],
      (
        await db.query(
          { sql: 'SELECT :a AS a, :b AS b', namedPlaceholders: true } as never,
          { a: 1, b: 'c' } as never,
        )
      )[0],
      await failureOf(db.query({ sql: 'SELECT SLEEP(0.4)', timeout: 20 })).then(
        failure => (failure as { code: unknown }).code,
      ),
    ],
  },
  {
    name: 'executes, prepares and forgets statements',
    run: async db => {
      const [rows, fields] = await db.execute('SELECT ? + 1 AS n, ? AS word', [1, 'x'])
      const again = (await db.execute('SELECT ? + 1 AS n, ? AS word', [2, 'y']))[0]
      const statement = await db.prepare('SELECT ? AS a')
      const prepared = (await statement.execute(['z']))[0]
      await statement.close()
      db.unprepare('SELECT ? + 1 AS n, ? AS word')
      return [
        rows,
        fields.map(({ name }) => name),
        again,
        prepared,
        await failureOf(db.execute('SELECT ?', [undefined] as never)),
        await failureOf(db.execute('SELECT ?', [])),
        await failureOf(db.execute('SELEC')),
        await rowsOf(db, 'SELECT 1 AS n'),
      ]
    },
  },
  {
    name: 'tells what a statement changed',
    run: async db => {
      await db.query('CREATE TEMPORARY TABLE changed (id int AUTO_INCREMENT PRIMARY KEY, word text)')
      const [header] = await db.query<ResultSetHeader>('INSERT INTO changed (word) VALUES ?', [
        [['a'], ['b']],
      ])
      const [updated] = await db.query(`UPDATE changed SET word = 'a'`)
      return [header, header.constructor.name, updated, await rowsOf(db, 'SELECT * FROM changed')]
    },
  },
  {
    name: 'fails with the errors of the server, and goes on',
    run: async db => {
      await db.query('CREATE TEMPORARY TABLE once (id int PRIMARY KEY)')
      await db.query('INSERT INTO once VALUES (1)')
      const failures = []
      for (const sql of ['INSERT INTO once VALUES (1)', 'SELEC', 'SELECT nothing', 'SELECT 1; SELECT 2', ''])
        failures.push(await failureOf(db.query(sql)))
      return [failures, await rowsOf(db, 'SELECT 1 AS n')]
    },
  },
  {
    name: 'refuses at once what is no query',
    run: async db => [
      thrownBy(() => coreOf(db).query(undefined as never)),
      await failureOf((async () => db.query(null as never))()),
      await failureOf((async () => db.query(...(['SELECT 1', () => {}] as unknown as [{ sql: string }])))()),
    ],
  },
  {
    name: 'answers in the order of asking',
    run: async db => {
      const order: unknown[] = []
      const ask = (sql: string) =>
        db.query(sql).then(
          ([rows]) => order.push(rows),
          () => order.push('failed'),
        )
      await Promise.all([ask('SELECT SLEEP(0.05) AS slept'), ask('SELECT broken'), ask('SELECT 3 AS n')])
      return order
    },
  },
  {
    name: 'gives a result for each of several statements',
    client: { multipleStatements: true },
    run: async db => {
      const [results, fields] = await db
        .query('SELECT 1 AS a; SELECT 2 AS b; SELECT nothing')
        .catch(error => [[describeError(error)], []])
      const [both] = await db.query('SELECT 1 AS a; SELECT 2 AS b')
      return [results, fields, both]
    },
  },
  {
    name: 'reads values as its options say',
    client: {
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      decimalNumbers: true,
      rowsAsArray: true,
    },
    run: db =>
      rowsOf(
        db,
        `SELECT CAST('2020-01-02' AS DATE), 9007199254740993, CAST(1.5 AS DECIMAL(3, 1)), 1.5e0, X'6162'`,
      ),
  },
  {
    name: 'takes named placeholders everywhere',
    client: { namedPlaceholders: true },
    run: async db => [
      await rowsOf(db, 'SELECT :a AS a', { a: 1 }),
      (await db.execute('SELECT :a AS a, :a AS b', { a: 'x' } as never))[0],
    ],
  },
  {
    name: 'formats and escapes',
    run: async db => [
      db.format('SELECT ?, ??', ["it's", 'a.b']),
      db.escape("it's"),
      db.escapeId('a`b'),
      db.escape({ a: 1 }),
      coreOf(db).format('SELECT ?', [[1, 2]]),
    ],
  },
]
