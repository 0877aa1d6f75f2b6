// What a pool's listener for new connections sends belongs to the connection, but for what failed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Connection as CoreConnection } from 'mysql2'
import type pg from 'pg'
import type { RdsIamOptions } from '../../../src/pg.ts'
import { sessionOf, useKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { createLambdaHandler, tell } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const failing = 'SELECT nonsense'

/** Sends both at once: a pool does not wait for its listeners. */
async function preparePg(client: pg.ClientBase): Promise<void> {
  const failed = client.query(failing).catch(() => {})
  await Promise.all([failed, client.query("SET app.own = 'of the connection'")])
}

function prepareMysql(connection: CoreConnection): void {
  connection.query(failing, () => {})
  connection.query("SET @own = 'of the connection'", () => {})
}

/** How a pool is given a listener, by what is said of it. */
const ofPostgres: Readonly<Record<string, object>> = {
  'a `connect` listener': { wrap: (pool: pg.Pool) => pool.on('connect', preparePg) },
  '`onConnect`': { client: { onConnect: preparePg } },
}
const ofMysql: Readonly<Record<string, object>> = {
  'a `connection` listener': {
    wrap: (pool: { on(event: 'connection', listen: typeof prepareMysql): object }) =>
      pool.on('connection', prepareMysql),
  },
}

for (const kind of kinds.filter(({ isPool }) => isPool)) {
  const { name, sql, gate } = kind
  const isPostgres = /Pg/.test(name)
  const get = isPostgres
    ? "SELECT current_setting('app.own', true) AS value"
    : 'SELECT CAST(@own AS CHAR) AS value'
  for (const [listener, own] of Object.entries(isPostgres ? ofPostgres : ofMysql)) {
    test(`${name} keeps one connection where a statement of ${listener} failed`, {
      skip: sql.canReset ? false : 'MySQL before 5.7.3 has no COM_RESET_CONNECTION',
      timeout: 20_000,
    }, async () => {
      const { gateway, options } = await gate()
      const handler = createLambdaHandler(kind, { ...options, ...own, max: 1 } as RdsIamOptions)
      // The pool that `wrap` is given has a connection, which its listeners have not heard of.
      await kind.end([Number(await handler(sessionOf(sql), lambdaContext()))])
      const sessions = new Set<number>()
      for (let count = 0; count < 5; count += 1) {
        await handler(async db => {
          sessions.add(await sessionOf(sql)(db))
          assert.deepEqual(await tell(db, get), [{ value: 'of the connection' }])
        }, lambdaContext())
      }
      assert.equal(sessions.size, 1)
      assert.equal(gateway.stats().connections, 2)
    })
  }
}
