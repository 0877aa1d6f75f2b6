// What other packages do with a client of pg.
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { type Behaviour, failureOf, listen } from '../../../support/side-by-side.ts'

const series = 'SELECT generate_series(1, 5) AS n'

export const pgStreams: readonly Behaviour<pg.Client>[] = [
  {
    name: 'reads a cursor of pg-cursor in parts, and closes it',
    run: async client => {
      const cursor = client.query(new Cursor(`${series} WHERE $1`, [true]))
      const parts = [await cursor.read(2), await cursor.read(9), await cursor.read(1)]
      await cursor.close()
      const early = client.query(new Cursor(series))
      parts.push(await early.read(1))
      await early.close()
      return [parts, (await client.query('SELECT 1 AS n')).rows]
    },
  },
  {
    name: 'tells a cursor what is wrong',
    run: async client => {
      const cursor = client.query(new Cursor('SELECT nothing'))
      return [
        await failureOf(cursor.read(1)),
        await failureOf(cursor.read(1)),
        (await client.query('SELECT 1 AS n')).rows,
      ]
    },
  },
  {
    name: 'streams rows by pg-query-stream, to the end and not',
    run: async client => {
      const all = await client.query(new QueryStream(series, [], { batchSize: 2 })).toArray()
      const some: unknown[] = []
      const stream = client.query(new QueryStream(series, [], { batchSize: 1 }))
      const heard = listen(stream, ['end', 'close', 'error'])
      for await (const row of stream) {
        some.push(row)
        if (some.length === 2) break
      }
      const failed = await failureOf(
        client.query(new QueryStream('SELECT 1/(3 - n) FROM generate_series(1, 5) AS n')).toArray(),
      )
      return [all, some, heard, failed, (await client.query('SELECT 1 AS n')).rows]
    },
  },
  {
    name: 'copies in and out by pg-copy-streams',
    run: async client => {
      await client.query('CREATE TEMP TABLE copied (n int, word text)')
      const into = client.query(copyFrom('COPY copied FROM STDIN'))
      await pipeline(Readable.from(['1\tone\n', '2\ttw', 'o\n']), into)
      let text = ''
      const collect = new Writable({
        write(chunk, _encoding, done) {
          text += chunk
          done()
        },
      })
      const out = client.query(copyTo('COPY copied TO STDOUT'))
      await pipeline(out, collect)
      return [into.rowCount, out.rowCount, text, (await client.query('SELECT * FROM copied')).rows]
    },
  },
  {
    name: 'fails a copy whose rows are wrong, and goes on',
    run: async client => {
      await client.query('CREATE TEMP TABLE copied (n int)')
      const into = client.query(copyFrom('COPY copied FROM STDIN'))
      const failure = await failureOf(pipeline(Readable.from(['1\n', 'two\n']), into))
      return [failure, (await client.query('SELECT * FROM copied')).rows]
    },
  },
]
