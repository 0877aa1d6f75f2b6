import { EventEmitter, once } from 'node:events'
import pg from 'pg'
import { type Behaviour, describeError, failureOf, thrownBy } from '../../../support/side-by-side.ts'

type Client = pg.Client

const resultOf = ({ command, rowCount, rows, fields }: pg.QueryResult) => ({
  command,
  rowCount,
  rows,
  fields: fields.map(({ name, dataTypeID, format }) => ({ name, dataTypeID, format })),
})

/** What a callback is told, and what the call itself returns. */
const toldBy = (call: (callback: (error: Error, result: pg.QueryResult) => void) => unknown) =>
  new Promise<unknown>(resolve => {
    const returned = call((error, result) =>
      setImmediate(() =>
        resolve({ returned: typeof returned, error: error && describeError(error), rows: result?.rows }),
      ),
    )
  })

export const pgQueries: readonly Behaviour<Client>[] = [
  {
    name: 'is a pg.Client and an emitter, connected once',
    run: async client => ({
      isClient: client instanceof pg.Client,
      isEmitter: client instanceof EventEmitter,
      ids: ['processID', 'secretKey'].map(
        name => typeof (client as unknown as Record<string, unknown>)[name],
      ),
      again: await failureOf(client.connect()),
      works: (await client.query('SELECT 1 AS one')).rows,
    }),
  },
  {
    name: 'gives the whole result',
    run: async client => {
      const result = await client.query('SELECT 1 AS one, $1::text AS two', ['b'])
      return { ...resultOf(result), class: result.constructor.name }
    },
  },
  {
    name: 'takes a config: values, arrays as rows, types of its own, a name',
    run: async client => {
      const named = { name: 'one', text: 'SELECT $1::int AS n', values: [1] }
      return [
        (await client.query({ text: 'SELECT $1::int AS n', values: [7] })).rows,
        (await client.query({ text: 'SELECT 1, 2', rowMode: 'array' })).rows,
        (await client.query({ text: 'SELECT 1 AS n', types: { getTypeParser: () => () => 'own' } as never }))
          .rows,
        (await client.query(named)).rows,
        (await client.query({ ...named, values: [2] })).rows,
        await failureOf(client.query({ ...named, text: 'SELECT 2' })),
        (await client.query('SELECT name, statement FROM pg_prepared_statements')).rows,
      ]
    },
  },
  {
    name: 'tells callbacks',
    run: async client => [
      await toldBy(callback => client.query('SELECT 1 AS one', callback)),
      await toldBy(callback => client.query('SELECT $1::text AS one', ['a'], callback)),
      await toldBy(callback => client.query({ text: 'SELECT 3 AS one' }, callback)),
      await toldBy(callback => client.query({ text: 'SELECT 4 AS one', callback } as never)),
      await toldBy(callback => client.query('SELECT nothing', callback)),
    ],
  },
  {
    name: 'answers in the order of asking',
    run: async client => {
      const order: unknown[] = []
      const ask = (text: string) =>
        client.query(text).then(
          ({ rows }) => order.push(rows),
          () => order.push('failed'),
        )
      await Promise.all([ask('SELECT pg_sleep(0.05), 1 AS n'), ask('SELECT broken'), ask('SELECT 3 AS n')])
      return order
    },
  },
  {
    name: 'reads and writes values of all kinds',
    run: async client => {
      const values = [
        1,
        '9007199254740993',
        1.5,
        true,
        null,
        new Date(0),
        Buffer.from('ab'),
        { a: 1 },
        ['x', 'y'],
      ]
      const { rows } = await client.query({
        text: `SELECT $1::int AS int, $2::int8 AS int8, $3::float8 AS float, $4::bool AS bool, $5::text AS nothing,
          $6::timestamptz AS time, $7::bytea AS bytes, $8::jsonb AS json, $9::text[] AS list, '1.10'::numeric AS exact,
          '1 day'::interval AS span, NULL::int[] AS none, undefined_is_null FROM (SELECT $10::text AS undefined_is_null) AS u`,
        values: [...values, undefined],
      })
      client.setTypeParser(20, text => BigInt(text))
      return [
        rows,
        (await client.query('SELECT 5::int8 AS n')).rows,
        client.escapeLiteral("a'b\\"),
        client.escapeIdentifier('a"b'),
      ]
    },
  },
  {
    name: 'gives one result for each statement, and one for none',
    run: async client => {
      const several = (await client.query('SELECT 1 AS a; SELECT 2 AS b')) as unknown as pg.QueryResult[]
      return [
        several.map(resultOf),
        resultOf(await client.query('')),
        resultOf(await client.query('CREATE TEMP TABLE t (x int)')),
      ]
    },
  },
  {
    name: 'fails with the errors of the server, and goes on',
    run: async client => {
      await client.query('CREATE TEMP TABLE single (id int PRIMARY KEY CHECK (id > 0))')
      await client.query('INSERT INTO single VALUES (1)')
      const failures = []
      for (const text of [
        'INSERT INTO single VALUES (1)',
        'INSERT INTO single VALUES (0)',
        'SELEC',
        'SELECT 1/0',
      ])
        failures.push(await failureOf(client.query(text)))
      const error = await client.query('SELECT 1/0').catch(error => error)
      return [failures, error instanceof pg.DatabaseError, (await client.query('SELECT 1 AS n')).rows]
    },
  },
  {
    name: 'refuses at once what is no query',
    run: async client => [
      thrownBy(() => client.query(undefined as never)),
      thrownBy(() => client.query(null as never)),
      await failureOf(client.query({} as never)),
      await failureOf(client.query('SELECT $1', 'no list' as never)),
      (await client.query('SELECT 1 AS n')).rows,
    ],
  },
  {
    name: 'speaks of the transaction',
    run: async client => {
      const seen = [client.getTransactionStatus()]
      for (const text of ['BEGIN', 'SELECT 1/0', 'ROLLBACK']) {
        // An error is told before the server says that it is ready again.
        await Promise.all([once(client, 'drain'), client.query(text).catch(() => {})])
        seen.push(client.getTransactionStatus())
      }
      return seen
    },
  },
  {
    name: 'stops waiting where a query has a time limit',
    run: async client => {
      const failure = await failureOf(
        client.query({ text: 'SELECT pg_sleep(0.5)', query_timeout: 20 } as never),
      )
      return [failure, (await client.query('SELECT 1 AS n')).rows]
    },
  },
]
