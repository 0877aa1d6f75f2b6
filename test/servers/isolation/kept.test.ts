// What isolation between invocations leaves alone: the connection itself, and what the user gave each new connection.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pool as MysqlPool } from 'mysql2/promise'
import type pg from 'pg'
import type { RdsIamOptions } from '../../../src/pg.ts'
import { type Handler, type Kind, sessionOf, useKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { hasOwnLogin } from '../../support/servers.ts'
import { createLambdaHandler, managedInstances, tell, until } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const ask = (handler: Handler, sql: string) => handler(db => tell(db, sql), lambdaContext())

/** Runs statements on one connection of an invocation. */
const run = (handler: Handler, statements: readonly string[]) =>
  handler(async db => {
    const connection = await db.take()
    for (const statement of statements) await connection.query(statement)
    connection.release()
  }, lambdaContext())

/** A session setting of either server, and how it is read. */
const settingOf = ({ name }: Kind) =>
  /Pg/.test(name)
    ? {
        set: (value: string) => `SET app.mine = '${value}'`,
        get: `SELECT coalesce(current_setting('app.mine', true), '') AS value`,
      }
    : {
        set: (value: string) => `SET @mine = '${value}'`,
        get: `SELECT CAST(COALESCE(@mine, '') AS CHAR) AS value`,
      }

for (const kind of kinds) {
  const { name, sql, isPool, gate, end } = kind
  const isPostgres = /Pg/.test(name)
  const { set, get } = settingOf(kind)
  const skip = sql.canReset ? false : 'MySQL before 5.7.3 has no COM_RESET_CONNECTION'
  const open = async (options: RdsIamOptions = {}, variables?: Readonly<Record<string, string>>) => {
    const gated = await gate()
    return {
      ...gated,
      handler: createLambdaHandler(kind, { ...gated.options, max: 1, ...options }, variables),
    }
  }

  test(`${name} keeps one connection over 100 invocations that change its session`, { skip }, async () => {
    const { gateway, handler } = await open()
    const sessions = new Set<unknown>()
    for (let count = 0; count < 100; count += 1) {
      const before = await handler(async db => {
        const connection = await db.take()
        const [row] = await connection.query(get)
        sessions.add(await sessionOf(sql)(connection))
        await connection.query(set(`of ${count}`))
        connection.release()
        return row?.value
      }, lambdaContext())
      assert.equal(before, '')
    }
    assert.equal(sessions.size, 1)
    const { connections, tokens } = gateway.stats()
    assert.deepEqual({ connections, tokens }, { connections: 1, tokens: 1 })
  })

  test(`${name} lets settings cross, but no transaction, where \`resetSession\` is false`, async () => {
    const { gateway, handler } = await open({ resetSession: false })
    await run(handler, [set('crosses'), 'BEGIN', "INSERT INTO note VALUES ('left')"])
    assert.deepEqual(await ask(handler, get), [{ value: 'crosses' }])
    assert.deepEqual(await ask(handler, 'SELECT text FROM note'), [])
    assert.equal(gateway.stats().connections, 1)
  })

  for (const [where, variables] of [
    ['in Lambda', {}],
    ['on Managed Instances', managedInstances],
  ] as const) {
    test(`${name} resets after an invocation, and not between two queries of one, ${where}`, {
      skip,
    }, async () => {
      const { gateway, handler } = await open({}, variables)
      const read = await handler(async db => {
        await db.query(set('mine'))
        return tell(db, get)
      }, lambdaContext())
      assert.deepEqual(read, [{ value: 'mine' }])
      assert.deepEqual(await ask(handler, get), [{ value: '' }])
      assert.equal(gateway.stats().connections, 1)
    })
  }

  test(`${name} resets nothing behind RDS Proxy, says so once, and does it where \`resetSession\` is true`, {
    skip: skip || (hasOwnLogin && 'the gateway stands in for RDS Proxy'),
  }, async () => {
    const host = 'notes.proxy-c1x2y3z4a5b6.eu-west-1.rds.amazonaws.com'
    const { gateway, options } = await gate({ endpoints: [{ host, port: 5432 }] })
    for (const [resetSession, expected] of [
      [undefined, 'crosses'],
      [true, ''],
    ] as const) {
      const lines: string[] = []
      const note = (line: string) => void lines.push(line)
      const logger = { debug() {}, info: note, warn: note, error() {} }
      const endpoint = { host, port: 5432 }
      const handler = createLambdaHandler(kind, { ...options, endpoint, logger, resetSession, max: 1 })
      await run(handler, [set('crosses')])
      assert.deepEqual(await ask(handler, get), [{ value: expected }])
      await ask(handler, get)
      if (!resetSession) assert.equal(lines.filter(line => /RDS Proxy/.test(line)).length, 1)
      await handler(db => db.end(), lambdaContext())
    }
    assert.equal(gateway.stats().connections, 2)
  })

  if (isPostgres) {
    test(`${name} keeps what \`client\` options have set: \`options\` and \`statement_timeout\``, async () => {
      const client = { options: '-c search_path=mine -c app.mine=given', statement_timeout: 4321 }
      const { gateway, handler } = await open({ client } as RdsIamOptions)
      const look = `SELECT current_setting('search_path') AS path, current_setting('app.mine') AS mine,
        current_setting('statement_timeout') AS timeout`
      const given = [{ path: 'mine', mine: 'given', timeout: '4321ms' }]
      assert.deepEqual(await ask(handler, look), given)
      await run(handler, ["SET search_path TO other; SET statement_timeout = 1; SET app.mine = 'other'"])
      assert.deepEqual(await ask(handler, look), given)
      assert.equal(gateway.stats().connections, 1)
    })

    test(`${name} runs a named statement in every invocation`, async () => {
      const { gateway, handler } = await open()
      for (let count = 0; count < 5; count += 1) {
        const { rows } = (await handler(
          db =>
            (db.raw as pg.Pool).query({ name: 'echo', text: 'SELECT $1::int AS number', values: [count] }),
          lambdaContext(),
        )) as pg.QueryResult
        assert.deepEqual(rows, [{ number: count }])
      }
      assert.equal(gateway.stats().connections, 1)
    })
  } else {
    test(`${name} runs prepared statements in every invocation`, async () => {
      const { gateway, handler } = await open()
      for (let count = 0; count < 5; count += 1) {
        const [rows] = (await handler(
          async db => (db.raw as MysqlPool).execute('SELECT ? AS number', [String(count)]),
          lambdaContext(),
        )) as readonly [object[]]
        assert.deepEqual({ ...rows[0] }, { number: String(count) })
      }
      assert.equal(gateway.stats().connections, 1)
    })
  }

  if (!isPool) continue

  test(`${name} keeps what a listener of the pool's new connections has set`, { skip }, async () => {
    const wrap = (pool: pg.Pool & MysqlPool) => {
      pool.on(isPostgres ? 'connect' : ('connection' as never), (connection: unknown) => {
        ;(connection as { query(sql: string, done: () => void): void }).query(
          set('of the listener'),
          () => {},
        )
      })
      return pool
    }
    const { gateway, handler } = await open({ wrap } as RdsIamOptions)
    // The listener is there before the next connection is opened.
    await end([Number(await handler(sessionOf(sql), lambdaContext()))])
    await until(() => gateway.stats().open === 0, 'the first connection is gone')
    assert.deepEqual(await ask(handler, get), [{ value: 'of the listener' }])
    await run(handler, [set('of an invocation')])
    assert.deepEqual(await ask(handler, get), [{ value: 'of the listener' }])
    assert.equal(gateway.stats().connections, 2)
  })

  if (!isPostgres) continue

  test(`${name} runs \`onConnect\` again, so that what it has set is there`, async () => {
    const client = { onConnect: (client: pg.ClientBase) => client.query(set('of the hook')) }
    const { gateway, handler } = await open({ client } as unknown as RdsIamOptions)
    assert.deepEqual(await ask(handler, get), [{ value: 'of the hook' }])
    await run(handler, [set('of an invocation')])
    assert.deepEqual(await ask(handler, get), [{ value: 'of the hook' }])
    assert.equal(gateway.stats().connections, 1)
  })
}
