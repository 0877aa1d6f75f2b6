import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startDatabase } from 'rds-iam-kit'
import { run, ways } from './migrate.ts'

const database = await startDatabase({ engine: 'mysql', users: ['shop_owner'], database: 'shop' }).catch(
  error => {
    if (error.name !== 'NotInstalled') throw error
    test('migrations of MySQL', { skip: error.message }, () => {})
  },
)

if (database) {
  after(() => database.close())
  const flags = ['--engine', 'mysql']
  for (const [how, more] of ways) {
    test(`drizzle-kit migrates${how}`, async () => {
      const migrate = ['--', 'drizzle-kit', 'migrate', '--config', 'drizzle.mysql.ts']
      await run(database.environment, ...flags, ...more, ...migrate)
      await database.query("INSERT INTO memo (text) VALUES ('milk')")
      assert.deepEqual(await database.query('SELECT text FROM memo'), [{ text: 'milk' }])
      await database.query('DROP TABLE memo, __drizzle_migrations')
    })
  }
}
