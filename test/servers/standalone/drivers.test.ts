// What each driver's own pool does, and this package's does too.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import mysql, { type PoolConnection, type RowDataPacket } from 'mysql2'
import promises from 'mysql2/promise'
import pg from 'pg'
import { createMysqlPool } from '../../../src/mysql2.ts'
import { type CreatePgPoolOptions, createPgPool, RdsIamError } from '../../../src/pg.ts'
import { findMysqlKinds, useMysql, usePostgres } from '../../support/database.ts'

const { gate } = await usePostgres()
const { kinds, missing } = findMysqlKinds()
const [kind] = kinds.slice(-1)
const mysqlGate = kind === undefined ? undefined : (await useMysql(kind)).gate
const skip = mysqlGate === undefined && missing

async function openPg(given: CreatePgPoolOptions = {}) {
  const { options, gateway } = await gate()
  return { gateway, pool: createPgPool({ ...options, ...given }) }
}

test('createPgPool is a pool of pg, which tells of what it does as that', async () => {
  const { pool } = await openPg()
  assert.ok(pool instanceof pg.Pool)
  const told: string[] = []
  for (const event of ['connect', 'acquire', 'release', 'remove'] as const)
    pool.on(event, () => told.push(event))
  await pool.query('SELECT 1')
  await pool.close()
  assert.deepEqual(told.slice(0, 3), ['connect', 'acquire', 'release'])
  assert.equal(told.at(-1), 'remove')
})

test('createPgPool keeps its connection where a query with a callback fails', async () => {
  const { pool, gateway } = await openPg()
  const ask = (...args: unknown[]) =>
    new Promise<{ error?: { code?: string }; result?: { rows: unknown[] } }>(resolve =>
      (pool.query as (...args: unknown[]) => unknown)(...args, (error: object, result: { rows: unknown[] }) =>
        resolve({ error, result }),
      ),
    )
  for (let count = 0; count < 5; count += 1)
    assert.equal((await ask('SELECT * FROM nowhere')).error?.code, '42P01')
  assert.deepEqual((await ask('SELECT $1::int AS one', [1])).result?.rows, [{ one: 1 }])
  assert.deepEqual((await ask({ text: 'SELECT $1::int AS two', values: [2] })).result?.rows, [{ two: 2 }])
  assert.equal(gateway.stats().connections, 1)
  await pool.close()
})

for (const [title, client] of [
  ['onConnect rejects', { onConnect: async () => assert.fail('mine') }],
  ['onConnect throws', { onConnect: () => assert.fail('mine') }],
  [
    'verify refuses',
    {
      verify: (_: unknown, done: (error: Error) => void) =>
        done(new assert.AssertionError({ message: 'mine' })),
    },
  ],
] as const) {
  test(`createPgPool hands on the user’s own error where ${title}`, async () => {
    const { pool, gateway } = await openPg({ client: client as object })
    const error = await pool.query('SELECT 1').catch((error: unknown) => error)
    assert.ok(!(error instanceof RdsIamError))
    assert.equal((error as Error).message, 'mine')
    assert.equal(gateway.stats().connections, 1)
    await pool.close()
  })
}

test('createPgPool does again after a reset what `onConnect` did', async () => {
  const { pool, gateway } = await openPg({
    max: 1,
    resetSession: true,
    client: { onConnect: async client => void (await client.query(`SET search_path TO 'pg_catalog'`)) },
  })
  for (let count = 0; count < 3; count += 1) {
    const { rows } = await pool.query('SHOW search_path')
    assert.deepEqual(rows, [{ search_path: 'pg_catalog' }])
    await pool.query('SET search_path TO nowhere')
  }
  assert.equal(gateway.stats().connections, 1)
  await pool.close()
})

test('createPgPool refuses a promise of another make', () => {
  const client = { Promise: class extends Promise<unknown> {} }
  assert.throws(
    () => createPgPool({ host: 'localhost', user: 'app', region: 'eu-west-1', client: client as never }),
    /`client\.Promise` belongs to this package/,
  )
})

/** The names of all methods, inherited ones too. */
function methodsOf(object: object): string[] {
  const names: string[] = []
  for (let own = object; own !== Object.prototype; own = Object.getPrototypeOf(own))
    names.push(
      ...Object.getOwnPropertyNames(own).filter(name => typeof Reflect.get(object, name) === 'function'),
    )
  return [...new Set(names)].sort()
}

test('createMysqlPool has every method of mysql2’s pools, with promises and with callbacks', {
  skip,
}, async () => {
  const { options, gateway } = await (mysqlGate as NonNullable<typeof mysqlGate>)()
  const pool = createMysqlPool({ ...options, max: 2 })
  const plain = promises.createPool({ host: 'localhost' })
  for (const [given, own] of [
    [pool, plain],
    [pool.pool, plain.pool],
  ] as const)
    for (const name of methodsOf(own)) assert.ok(methodsOf(given).includes(name), name)
  await plain.end()

  assert.equal(pool.format('SELECT ?', ['it’s']), mysql.format('SELECT ?', ['it’s']))
  assert.equal(pool.escape("'"), mysql.escape("'"))
  const [rows] = await pool.execute<RowDataPacket[]>('SELECT ? AS one', [1])
  assert.equal(Number(rows[0]?.one), 1)
  const core = pool.pool
  const connection = await new Promise<PoolConnection>((resolve, reject) =>
    core.getConnection((error, connection) => (error ? reject(error) : resolve(connection))),
  )
  const answer = await new Promise((resolve, reject) =>
    connection.query('SELECT 2 AS two', (error, rows) => (error ? reject(error) : resolve(rows))),
  )
  assert.deepEqual(answer, [{ two: 2 }])
  connection.release()
  const streamed: unknown[] = []
  for await (const row of core.query('SELECT 3 AS three').stream()) streamed.push(row)
  assert.deepEqual(streamed, [{ three: 3 }])
  {
    await using one = await pool.getConnection()
    await one.query('DO 1')
  }
  assert.ok(gateway.stats().connections <= 2)
  await pool.close()
})

test('createMysqlPool has its connection back at once where a query of its own times out', {
  skip,
}, async () => {
  const { options } = await (mysqlGate as NonNullable<typeof mysqlGate>)()
  const pool = createMysqlPool({ ...options, max: 1, connectTimeoutMs: 2_000 })
  const slow = { sql: 'SELECT SLEEP(8)', timeout: 50 }
  for (const run of [() => pool.query(slow), () => pool.execute(slow)]) {
    await assert.rejects(run, { code: 'PROTOCOL_SEQUENCE_TIMEOUT' })
    const [rows] = await pool.query('SELECT 1 AS one')
    assert.deepEqual(rows, [{ one: 1 }])
  }
  await pool.close()
})
