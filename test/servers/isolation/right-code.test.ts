// Code that is right, and stops reading a result early, costs no connection.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection as CoreConnection } from 'mysql2'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import type { Taken } from '../../support/db.ts'
import { sessionOf, useKinds } from '../../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { createLambdaHandler, prepareServers } from './invocations.ts'

const { kinds, missing } = await useKinds()
await prepareServers(kinds, ({ name }) =>
  /Pg/.test(name)
    ? [
        'CREATE TABLE many AS SELECT n AS number FROM generate_series(1, 2000) AS n; GRANT ALL ON many TO notes_app',
      ]
    : [
        'CREATE TABLE digit (number int)',
        `INSERT INTO digit VALUES ${Array.from({ length: 10 }, (_, digit) => `(${digit})`)}`,
        `CREATE TABLE many AS SELECT a.number * 1000 + b.number * 100 + c.number * 10 + d.number AS number
         FROM digit a, digit b, digit c, digit d WHERE a.number < 2`,
      ],
)
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const all = 'SELECT number FROM many'

/** Reads a few rows, and leaves the loop. */
async function readSome(rows: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of rows) {
    count += 1
    if (count === 5) break
  }
  return count
}

type Reading = Readonly<Record<string, (connection: Taken) => Promise<number>>>

const ofPostgres: Reading = {
  'breaks out of a QueryStream': ({ raw }) => readSome((raw as pg.Client).query(new QueryStream(all))),
  'breaks out of a QueryStream that reads row by row': ({ raw }) =>
    readSome((raw as pg.Client).query(new QueryStream(all, [], { batchSize: 1 }))),
  async 'closes a cursor without waiting for it'({ raw }) {
    const cursor = (raw as pg.Client).query(new Cursor(all))
    const { length } = await cursor.read(5)
    cursor.close(() => {})
    return length
  },
  async 'closes a cursor that it has read to the end'({ raw }) {
    const cursor = (raw as pg.Client).query(new Cursor('SELECT number FROM many LIMIT 5'))
    const { length } = await cursor.read(100)
    await cursor.close()
    return length
  },
}

const coreOf = ({ raw }: Taken): CoreConnection => (raw as { connection: CoreConnection }).connection

const ofMysql: Reading = {
  'breaks out of a stream': connection => readSome(coreOf(connection).query(all).stream()),
  'breaks out of a stream that reads row by row': connection =>
    readSome(coreOf(connection).query(all).stream({ highWaterMark: 1 })),
  'breaks out of a stream of a prepared statement': connection =>
    readSome(coreOf(connection).execute(all).stream()),
}

for (const kind of kinds) {
  const { name, sql, gate } = kind
  for (const [how, read] of Object.entries(/Pg/.test(name) ? ofPostgres : ofMysql)) {
    for (const end of ['returns', 'throws'] as const) {
      test(`${name} keeps the connection of a handler that ${how} and ${end}`, {
        timeout: 30_000,
      }, async () => {
        const { gateway, options } = await gate()
        const logger = recordingLogger()
        const handler = createLambdaHandler(kind, { ...options, logger, max: 1 })
        const sessions = new Set<number>()
        for (let count = 0; count < 10; count += 1) {
          const invocation = handler(async db => {
            const connection = await db.take()
            try {
              sessions.add(await sessionOf(sql)(connection))
              assert.equal(await read(connection), 5)
              if (end === 'throws') throw new Error('the handler failed')
            } finally {
              connection.release()
            }
          }, lambdaContext())
          await (end === 'throws'
            ? assert.rejects(invocation, { message: 'the handler failed' })
            : invocation)
        }
        assert.equal(sessions.size, 1)
        assert.equal(gateway.stats().connections, 1)
        assert.deepEqual(
          logger.lines.filter(({ fields }) => fields.event === 'connection:closed'),
          [],
        )
        assert.deepEqual(logger.warnings(), [])
      })
    }
  }
}
