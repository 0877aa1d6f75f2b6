// A connection that was released is somebody else's: who uses it all the same gets answers to its own questions, or none.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import { useKinds } from '../../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { createLambdaHandler, managedInstances, tell } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const tenant = `SELECT coalesce(current_setting('app.tenant', true), '') AS value`
const environments = [
  ['', {}],
  [', on Managed Instances', managedInstances],
] as const

for (const kind of kinds.filter(({ isPool }) => isPool)) {
  const { name, gate } = kind

  test(`${name} does not run what an open invocation sends on a connection that is another one's by then`, {
    timeout: 20_000,
  }, async () => {
    const { options } = await gate()
    const logger = recordingLogger()
    const handler = createLambdaHandler(kind, { ...options, logger, max: 1 }, managedInstances)
    const { promise: released, resolve: tellReleased } = Promise.withResolvers<void>()
    const { promise: late, resolve: send } = Promise.withResolvers<void>()
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const ran: unknown[] = []
    const first = handler(async db => {
      const connection = await db.take()
      await connection.query('SELECT 1')
      connection.release()
      tellReleased()
      await late
      connection.query("INSERT INTO note VALUES ('late')").then(
        rows => void ran.push(rows),
        () => {},
      )
      await over
    }, lambdaContext())
    await Promise.race([released, first])
    await handler(async db => {
      const connection = await db.take()
      await connection.query('BEGIN')
      send()
      // Whatever the server would be sent is on its way by then.
      for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
      await connection.query("INSERT INTO note VALUES ('own')")
      assert.deepEqual(await tell(connection, 'SELECT text FROM note'), [{ text: 'own' }])
      await connection.query('ROLLBACK')
      connection.release()
    }, lambdaContext())
    end()
    await first
    assert.deepEqual(await kind.administer('SELECT text FROM note'), [])
    assert.deepEqual(ran, [])
  })

  if (!/Pg/.test(name)) continue

  for (const [where, variables] of environments) {
    const open = async () => {
      const { options } = await gate()
      const answers: unknown[] = []
      const ask = (client: pg.ClientBase): void => {
        const note = (answer: unknown) => void answers.push(answer)
        client.query('SELECT 42 AS number').then(
          result => note(Array.isArray(result) ? result.map(({ command }) => command) : result.rows),
          ({ message }) => note(message),
        )
      }
      return { answers, ask, handler: createLambdaHandler(kind, { ...options, max: 1 }, variables) }
    }
    const assertOwn = (answers: readonly unknown[]) => {
      for (const answer of answers) assert.deepEqual(answer, [{ number: 42 }])
    }

    test(`${name} answers what an invocation sends after it released its client with nothing of a reset${where}`, {
      timeout: 20_000,
    }, async () => {
      const { answers, ask, handler } = await open()
      for (let count = 0; count < 4; count += 1) {
        const seen = await handler(async db => {
          const connection = await db.take()
          const client = connection.raw as pg.ClientBase
          const seen = await tell(connection, tenant)
          connection.release()
          // What follows waits in the client when the invocation ends.
          client.query('SELECT pg_sleep(0.05)').catch(() => {})
          ask(client)
          client.query("SET app.tenant = 'a'").catch(() => {})
          return seen
        }, lambdaContext())
        assert.deepEqual(seen, [{ value: '' }])
      }
      assertOwn(answers)
    })

    test(`${name} answers what an invocation sends on the client that an earlier one released with nothing of a reset${where}`, {
      timeout: 20_000,
    }, async () => {
      const { answers, ask, handler } = await open()
      let kept: pg.ClientBase | undefined
      for (let count = 0; count < 4; count += 1) {
        await handler(async db => {
          if (kept !== undefined) {
            kept.query('SELECT pg_sleep(0.05)').catch(() => {})
            ask(kept)
          }
          const connection = await db.take()
          const client = connection.raw as pg.ClientBase
          if (kept !== undefined) ask(kept)
          assert.deepEqual(await tell(connection, 'SELECT 1 AS one'), [{ one: 1 }])
          connection.release()
          ask(client)
          kept = client
        }, lambdaContext())
      }
      assertOwn(answers)
    })
  }
}
