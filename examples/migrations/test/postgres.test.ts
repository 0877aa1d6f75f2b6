import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startDatabase } from 'rds-iam-kit'
import { run, ways } from './migrate.ts'

/** What the master user of an instance runs once. The owner is the one that migrations connect as. */
const setup = `
  CREATE USER orders_owner;
  GRANT rds_iam TO orders_owner;
  GRANT CREATE ON DATABASE orders TO orders_owner;
  GRANT USAGE, CREATE ON SCHEMA public TO orders_owner;
  CREATE USER orders_app;
  GRANT rds_iam TO orders_app;`

const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_owner', 'orders_app'],
  database: 'orders',
  setup,
})
after(() => database.close())
const { environment } = database

/** Whether the application may write into a table that a migration made. */
async function mayWrite(table: string): Promise<unknown> {
  const [row] = await database.query(`
    SELECT tableowner AS owner, has_table_privilege('orders_app', '${table}', 'INSERT') AS "mayWrite"
    FROM pg_tables WHERE tablename = '${table}'`)
  return row
}

test('the owner lets the application work with what its migrations will make', async () => {
  const grant = (what: string) => `ALTER DEFAULT PRIVILEGES GRANT ${what} TO orders_app`
  const sql = `${grant('SELECT, INSERT, UPDATE, DELETE ON TABLES')}; ${grant('USAGE ON SEQUENCES')}`
  const connect = `const { Client } = require('pg'); const client = new Client(process.env.DATABASE_URL)
    client.connect().then(() => client.query(process.argv[1])).then(() => client.end())`
  await run(environment, '--', 'node', '--eval', connect, sql)
})

for (const [how, flags] of ways) {
  test(`node-pg-migrate migrates up and down${how}`, async () => {
    const migrate = [...flags, '--', 'node-pg-migrate']
    const where = ['--migrations-dir', 'migrations/node-pg-migrate']
    await run(environment, ...migrate, 'up', ...where)
    assert.deepEqual(await mayWrite('note'), { owner: 'orders_owner', mayWrite: true })
    await run(environment, ...migrate, 'down', ...where)
    assert.equal(await mayWrite('note'), undefined)
  })

  test(`drizzle-kit migrates${how}`, async () => {
    await run(environment, ...flags, '--', 'drizzle-kit', 'migrate', '--config', 'drizzle.postgres.ts')
    assert.deepEqual(await mayWrite('memo'), { owner: 'orders_owner', mayWrite: true })
    await database.query('DROP TABLE memo; DROP SCHEMA drizzle CASCADE')
  })
}
