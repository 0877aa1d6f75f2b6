// Processes that end by themselves: an idle connection keeps none alive, one in use does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { findMysqlKinds, type Gate, useMysql, usePostgres } from '../../support/database.ts'
import { runModule } from '../../support/node-process.ts'

const { gate: pgGate } = await usePostgres()
const { kinds, missing } = findMysqlKinds()
const [kind] = kinds.slice(-1)
const mysqlGate = kind === undefined ? undefined : (await useMysql(kind)).gate

const engines: Readonly<
  Record<string, { gate: Gate | undefined; entry: string; sleep: string; rowOf: string }>
> = {
  PostgreSQL: {
    gate: pgGate,
    entry: 'pg',
    sleep: 'SELECT pg_sleep(0.3), 7 AS value',
    rowOf: '({ rows }) => rows[0]',
  },
  MySQL: {
    gate: mysqlGate,
    entry: 'mysql2',
    sleep: 'SELECT SLEEP(0.3), 7 AS value',
    rowOf: '([rows]) => rows[0]',
  },
}

/** What a script does with a database. It prints something as soon as it has it, and says nothing of its end. */
const scripts: Readonly<
  Record<string, (names: { pool: string; client: string; poolMiddleware: string }) => string>
> = {
  'a pool': ({ pool }) => `
    const pool = ${pool}(options)
    print(await pool.query(sleep))`,
  'a pool whose query is still running when the script is at its end': ({ pool }) => `
    ${pool}(options).query(sleep).then(print)`,
  'a pool that closes idle connections after some time': ({ pool }) => `
    const client = { idleTimeoutMillis: 60_000, maxIdle: 1, idleTimeout: 60_000 }
    print(await ${pool}({ ...options, max: 2, client }).query(sleep))`,
  'a pool that was closed': ({ pool }) => `
    const pool = ${pool}(options)
    print(await pool.query(sleep))
    await pool.close()`,
  'a client of a middleware': ({ client }) => `
    const handler = middy().use(${client}(options)).handler(async (_event, { db }) => print(await db.query(sleep)))
    await handler({}, {})`,
  'a pool of a middleware': ({ poolMiddleware }) => `
    const handler = middy().use(${poolMiddleware}(options)).handler(async (_event, { db }) => print(await db.query(sleep)))
    await handler({}, {})`,
  'a middleware that was closed': ({ client }) => `
    const middleware = ${client}(options)
    const handler = middy().use(middleware).handler(async (_event, { db }) => print(await db.query(sleep)))
    await handler({}, {})
    await middleware.close()`,
}

for (const [engine, { gate, entry, sleep, rowOf }] of Object.entries(engines)) {
  const names =
    entry === 'pg'
      ? { pool: 'createPgPool', client: 'iamPg', poolMiddleware: 'iamPgPool' }
      : { pool: 'createMysqlPool', client: 'iamMysql', poolMiddleware: 'iamMysqlPool' }
  for (const [title, script] of Object.entries(scripts)) {
    test(`a script ends by itself with ${title}, on ${engine}`, {
      skip: gate === undefined && missing,
    }, async () => {
      const { options, gateway } = await (gate as Gate)()
      const source = `
        import middy from '@middy/core'
        import { ${Object.values(names)} } from './src/${entry}.ts'
        const options = ${JSON.stringify(options)}
        const sleep = ${JSON.stringify(sleep)}
        const rowOf = ${rowOf}
        const print = result => console.log(JSON.stringify(rowOf(result).value))
        ${script(names)}`
      // It fails where the process is still there after a minute.
      assert.equal(await runModule(source), 7)
      while (gateway.stats().open > 0) await turn()
    })
  }
}
