// Statements that the server keeps by name outlive a change of what they read: one invocation may fail, and no other does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pool as MysqlPool } from 'mysql2/promise'
import type pg from 'pg'
import type { Db } from '../../support/db.ts'
import { useKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { createLambdaHandler } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

for (const kind of kinds) {
  const { name, gate } = kind
  const isPostgres = /Pg/.test(name)
  const table = `migrated_${name.replaceAll(/\W/g, '_')}`
  const create = async (): Promise<void> => {
    await kind.administer(`DROP TABLE IF EXISTS ${table}`)
    await kind.administer(`CREATE TABLE ${table} (id int)`)
    await kind.administer(`INSERT INTO ${table} VALUES (1)`)
    if (isPostgres) await kind.administer(`GRANT ALL ON ${table} TO notes_app`)
  }
  const read = async ({ raw }: Db): Promise<object> => {
    if (!isPostgres) {
      const [rows] = await (raw as MysqlPool).execute(`SELECT * FROM ${table}`)
      return { ...(rows as object[])[0] }
    }
    const query = { name: 'read', text: `SELECT * FROM ${table}` }
    return (await (raw as pg.Pool).query(query)).rows[0] as object
  }
  const openHandler = async () => {
    const { gateway, options } = await gate()
    return { gateway, handler: createLambdaHandler(kind, { ...options, max: 1 }) }
  }

  test(`${name} reads all columns by a prepared statement after a migration that added one, but for one invocation`, async () => {
    await create()
    const { handler } = await openHandler()
    const run = () => handler(read, lambdaContext())
    assert.deepEqual(await run(), { id: 1 })
    await kind.administer(`ALTER TABLE ${table} ADD COLUMN added varchar(5) DEFAULT 'new'`)
    await run().catch((error: { code?: string }) => {
      assert.match(String(error.code), isPostgres ? /^0A000$/ : /^ER_NEED_REPREPARE$/)
    })
    for (let count = 0; count < 2; count += 1) assert.deepEqual(await run(), { id: 1, added: 'new' })
  })

  if (!isPostgres) continue

  for (const statement of ['DEALLOCATE ALL', 'DISCARD ALL', 'DEALLOCATE read']) {
    test(`${name} runs a named statement again after ${statement}, but for one invocation`, async () => {
      await create()
      const { handler } = await openHandler()
      const run = () => handler(read, lambdaContext())
      await run()
      await handler(db => db.query(statement), lambdaContext())
      await run().catch((error: { code?: string }) => assert.equal(error.code, '26000'))
      for (let count = 0; count < 2; count += 1) assert.deepEqual(await run(), { id: 1 })
    })
  }
}
