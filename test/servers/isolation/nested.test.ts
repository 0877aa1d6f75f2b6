// A handler that calls another one of the same middleware goes on behind it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Context } from 'aws-lambda'
import { useKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { createLambdaHandler, managedInstances, tell } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const contexts: Readonly<Record<string, () => Context>> = {
  'an empty context': () => ({}) as Context,
  'a context with another request id': () => lambdaContext(),
}

for (const kind of kinds) {
  const { name, gate } = kind
  for (const [given, contextOf] of Object.entries(contexts)) {
    for (const [where, variables] of [
      ['', {}],
      [', on Managed Instances', managedInstances],
    ] as const) {
      test(`${name} goes on with the queries of a handler that has called another one with ${given}${where}`, {
        timeout: 20_000,
      }, async () => {
        const { options } = await gate()
        const handler = createLambdaHandler(kind, { ...options, max: 2 }, variables)
        for (let count = 0; count < 3; count += 1) {
          const seen = await handler(async db => {
            const before = await tell(db, 'SELECT 1 AS number')
            const inner = await handler(inside => tell(inside, 'SELECT 2 AS number'), contextOf())
            const after = await tell(db, 'SELECT 3 AS number')
            return [before, inner, after, await tell(db, 'SELECT 4 AS number')]
          }, lambdaContext())
          assert.deepEqual(seen, [[{ number: 1 }], [{ number: 2 }], [{ number: 3 }], [{ number: 4 }]])
        }
      })
    }
  }
}
