// Mistakes that compile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import middy from '@middy/core'
import pg from 'pg'
import { iamPg } from '../../src/pg.ts'
import { usePostgres } from '../support/database.ts'
import { useKinds } from '../support/kinds.ts'
import { lambdaContext } from '../support/lambda.ts'
import { runModule } from '../support/node-process.ts'

const { kinds, missing } = await useKinds(true)
const { gate } = await usePostgres()
test('has MySQL or MariaDB', { skip: missing === '' ? false : missing }, () => {})

test('a client in place of a pool is refused by its server, and does not end the process', async () => {
  const { options, gateway } = await gate()
  const handler = middy()
    .use(iamPg(options))
    .handler(async (_event, { db }) => {
      const pool = new pg.Pool(db as unknown as pg.PoolConfig)
      pool.on('error', () => {})
      await assert.rejects(pool.query('SELECT 1'))
      await pool.end()
      const { rows } = await db.query('SELECT 1 AS one')
      return rows
    })
  assert.deepEqual(await handler(undefined, lambdaContext() as never), [{ one: 1 }])
  assert.equal(gateway.stats().admitted, 1)
})

for (const { name, gate, isPool } of kinds) {
  if (isPool) continue
  const [kind = ''] = name.split(' ')
  const entry = kind === 'iamPg' ? 'pg' : 'mysql2'

  // Two records of a batch, side by side: one with a transaction, the other with another one, or with none.
  const scenes = {
    'two transactions': ['run()', 'run()'],
    'a query inside the transaction of another caller': ['run()', "db.query('SELECT 2')"],
  }
  for (const [title, records] of Object.entries(scenes)) {
    test(`${name} warns once of ${title} on one connection, and says what to use`, async () => {
      const { options } = await gate()
      const source = `
        import middy from '@middy/core'
        import { ${kind} } from './src/${entry}.ts'
        const warnings = []
        process.on('warning', ({ code, message }) => warnings.push([code, message]))
        const told = () => warnings.filter(([code]) => code === 'RDS_IAM_SHARED_TRANSACTION')
        const handler = middy().use(${kind}(${JSON.stringify(options)})).handler(async (_event, { db }) => {
          const run = async () => { await db.query('BEGIN'); await db.query('SELECT 1'); await db.query('COMMIT') }
          await run()
          await run()
          await Promise.all([db.query('SELECT 3'), db.query('SELECT 4')])
          await new Promise(resolve => setImmediate(resolve))
          const alone = told().length
          await Promise.all([${records}])
          await Promise.all([${records}])
          await new Promise(resolve => setImmediate(resolve))
          console.log(JSON.stringify({ alone, told: told() }))
        })
        await handler({}, {})`
      const { alone, told } = (await runModule(source)) as { alone: number; told: string[][] }
      assert.equal(alone, 0)
      assert.equal(told.length, 1)
      assert.match(told[0]?.[1] ?? '', new RegExp(`out of a pool: ${kind}Pool`))
    })
  }
}
