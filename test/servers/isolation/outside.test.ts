// What is sent outside of every invocation's context is run once: no reset sends it again, and none leaves it out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import middy, { type MiddlewareObj } from '@middy/core'
import type { RdsIamOptions } from '../../../src/pg.ts'
import { type Db, mysqlDb, pgDb } from '../../support/db.ts'
import { useKinds } from '../../support/kinds.ts'
import { inLambda, lambdaContext } from '../../support/lambda.ts'
import { createLambdaHandler, tell } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const insert = "INSERT INTO note VALUES ('once')"

for (const kind of kinds) {
  const { name, sql, gate, isPool } = kind
  const isPostgres = /Pg/.test(name)
  const dbOf = (isPostgres ? pgDb : mysqlDb) as (raw: object) => Db
  /** What is in the table, which is empty afterwards. */
  const takeNotes = async () => {
    const rows = await kind.administer('SELECT text FROM note')
    await kind.administer('DELETE FROM note')
    return rows.map(({ text }) => text)
  }

  test(`${name} runs once what a loop at module scope sends between invocations, with what \`wrap\` gave it`, {
    timeout: 20_000,
  }, async () => {
    const { options } = await gate()
    const { promise: given, resolve: give } = Promise.withResolvers<Db>()
    const { promise: hasRun, resolve: go } = Promise.withResolvers<void>()
    const loop = (async () => {
      const db = await given
      await hasRun
      await db.query(insert)
    })()
    const wrap = (raw: object) => {
      give(dbOf(raw))
      return raw
    }
    const handler = createLambdaHandler(kind, { ...options, wrap, max: 1 } as RdsIamOptions)
    // Nothing has been sent when the loop begins.
    await handler(() => {}, lambdaContext())
    go()
    await loop
    for (let count = 0; count < 3; count += 1) await handler(db => db.query(sql.session), lambdaContext())
    assert.deepEqual(await takeNotes(), ['once'])
  })

  test(`${name} runs once what the first invocation has a queue at module scope send`, {
    timeout: 20_000,
  }, async () => {
    const { options } = await gate()
    const { promise: given, resolve: give } = Promise.withResolvers<Db>()
    const worker = (async () => {
      const db = await given
      await db.query(insert)
    })()
    const handler = createLambdaHandler(kind, { ...options, max: 1 })
    await handler(async db => {
      give(db)
      await worker
    }, lambdaContext())
    for (let count = 0; count < 3; count += 1) await handler(db => db.query(sql.session), lambdaContext())
    assert.deepEqual(await takeNotes(), ['once'])
  })

  if (isPool) continue

  test(`${name} runs once what handlers send that lost their context, and takes back what they set`, {
    timeout: 20_000,
  }, async () => {
    const { options } = await gate()
    const middleware = inLambda(() => kind.create({ ...options, prefetch: false })) as Required<MiddlewareObj>
    const handler = middy<(db: Db) => unknown>()
      .before(async request => {
        await new Promise(resolve => setImmediate(resolve))
        await middleware.before(request as never)
      })
      .after(middleware.after as never)
      .onError(middleware.onError as never)
      .handler((run, context) => run(dbOf((context as unknown as { db: object }).db)))
    const [set, get] = isPostgres
      ? ["SET app.tenant = 'a'", `SELECT coalesce(current_setting('app.tenant', true), '') AS value`]
      : ["SET @tenant = 'a'", `SELECT CAST(COALESCE(@tenant, '') AS CHAR) AS value`]
    const seen: unknown[] = []
    for (let count = 0; count < 3; count += 1) {
      const run = async (db: Db) => {
        seen.push(await tell(db, get))
        await db.query(set)
        await db.query(`INSERT INTO note VALUES ('${count}')`)
      }
      await handler(run, lambdaContext() as never)
    }
    assert.deepEqual((await takeNotes()).sort(), ['0', '1', '2'])
    if (sql.canReset) assert.deepEqual(seen, [[{ value: '' }], [{ value: '' }], [{ value: '' }]])
  })
}
