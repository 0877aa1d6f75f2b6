// Without `database`, a session begins in no database, and a reset would leave it in the one that an invocation chose.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useMysqlKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { createLambdaHandler, tell } from './invocations.ts'

const { kinds, missing } = await useMysqlKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

for (const kind of kinds) {
  for (const statement of ['USE information_schema', '/* mine */ use `information_schema`']) {
    test(`${kind.name} without \`database\` shows no invocation the database that an earlier one chose by ${statement}`, {
      timeout: 20_000,
    }, async () => {
      const { options } = await kind.gate()
      const { database: _, ...others } = options
      const handler = createLambdaHandler(kind, { ...others, max: 1 })
      for (let count = 0; count < 3; count += 1) {
        const seen = await handler(async db => {
          const connection = await db.take()
          const seen = await tell(connection, 'SELECT DATABASE() AS value')
          await connection.query(statement)
          assert.deepEqual(await tell(connection, 'SELECT DATABASE() AS value'), [
            { value: 'information_schema' },
          ])
          connection.release()
          return seen
        }, lambdaContext())
        assert.deepEqual(seen, [{ value: null }])
      }
    })
  }
}
