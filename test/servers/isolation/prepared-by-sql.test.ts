// Statements that an invocation prepares by SQL are its own; those that pg prepares by name serve all of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import type { Db } from '../../support/db.ts'
import { usePostgresKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { createLambdaHandler, tell } from './invocations.ts'

const kinds = await usePostgresKinds()

const readNamed = async ({ raw }: Db) =>
  (await (raw as pg.Pool).query({ name: 'read', text: 'SELECT $1::int AS number', values: [42] })).rows

for (const kind of kinds) {
  for (const prepare of [
    "PREPARE mine AS SELECT 'a' AS value",
    "/* my */ prepare mine as select 'a' as value",
  ]) {
    test(`${kind.name} knows nothing of what an earlier invocation prepared by ${prepare}, and runs named statements of pg as before`, {
      timeout: 20_000,
    }, async () => {
      const { gateway, options } = await kind.gate()
      const handler = createLambdaHandler(kind, { ...options, max: 1 })
      const ask = (sql: string) => handler(db => tell(db, sql), lambdaContext())
      for (let count = 0; count < 3; count += 1) {
        assert.deepEqual(await handler(readNamed, lambdaContext()), [{ number: 42 }])
        const own = await handler(async db => {
          const connection = await db.take()
          await connection.query(prepare)
          const own = await tell(connection, 'EXECUTE mine')
          connection.release()
          return own
        }, lambdaContext())
        assert.deepEqual(own, [{ value: 'a' }])
        assert.deepEqual(await handler(readNamed, lambdaContext()), [{ number: 42 }])
        assert.deepEqual(await ask("SELECT name FROM pg_prepared_statements WHERE name = 'mine'"), [])
      }
      assert.equal(gateway.stats().connections, 1)
      assert.equal(await ask('EXECUTE mine'), '26000')
    })
  }
}
