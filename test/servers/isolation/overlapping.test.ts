// Invocations that run side by side in one process, as on Lambda Managed Instances, have nothing of one another.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RdsIamOptions } from '../../../src/pg.ts'
import { useKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { createLambdaHandler, managedInstances, tell, until } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

for (const kind of kinds.filter(({ isPool }) => isPool)) {
  const { name, sql, gate } = kind
  const open = async (options: RdsIamOptions) => {
    const gated = await gate()
    return {
      ...gated,
      handler: createLambdaHandler(kind, { ...gated.options, ...options }, managedInstances),
    }
  }
  const [set, get] = /Pg/.test(name)
    ? ["SET app.mine = 'of another'", `SELECT coalesce(current_setting('app.mine', true), '') AS value`]
    : ["SET @mine = 'of another'", `SELECT CAST(COALESCE(@mine, '') AS CHAR) AS value`]

  for (const ending of ['throws', 'returns'] as const) {
    test(`${name} serves ten invocations of which each ${ending} with a connection in a transaction, beside one that works on`, {
      timeout: 30_000,
    }, async () => {
      const { gateway, handler } = await open({ max: 2, connectTimeoutMs: 5_000 })
      const { promise: over, resolve: end } = Promise.withResolvers<void>()
      const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
      const works = handler(async db => {
        const connection = await db.take()
        await connection.query('BEGIN')
        await connection.query("INSERT INTO note VALUES ('of the one that works on')")
        const [before] = await connection.query(sql.session)
        begin()
        await over
        const [after] = await connection.query(sql.session)
        const notes = await tell(connection, 'SELECT text FROM note')
        await connection.query('ROLLBACK')
        connection.release()
        return { isSame: before?.value === after?.value, notes }
      }, lambdaContext())
      await begun
      for (let count = 0; count < 10; count += 1) {
        const left = handler(async db => {
          const connection = await db.take()
          await connection.query('BEGIN')
          await connection.query(`INSERT INTO note VALUES ('${count}')`)
          const notes = await tell(connection, 'SELECT text FROM note')
          if (ending === 'throws') throw new Error('the handler failed')
          return notes
        }, lambdaContext())
        if (ending === 'throws') await assert.rejects(left, { message: 'the handler failed' })
        else assert.deepEqual(await left, [{ text: String(count) }])
      }
      end()
      assert.deepEqual(await works, { isSame: true, notes: [{ text: 'of the one that works on' }] })
      const notes = await handler(db => tell(db, 'SELECT text FROM note'), lambdaContext())
      assert.deepEqual(notes, [])
      await until(() => gateway.stats().open <= 2, 'no more are open than may be')
    })
  }

  test(`${name} leaves what one invocation has released to another that waits for it, and takes back what it did not release`, {
    timeout: 30_000,
  }, async () => {
    const { handler } = await open({ max: 1, connectTimeoutMs: 5_000 })
    const { promise: held, resolve: hold } = Promise.withResolvers<void>()
    const first = handler(async db => {
      const connection = await db.take()
      await connection.query('BEGIN')
      hold()
      await connection.query("INSERT INTO note VALUES ('not released')")
    }, lambdaContext())
    await held
    const second = handler(db => tell(db, 'SELECT text FROM note'), lambdaContext())
    await first
    assert.deepEqual(await second, [])
  })

  test(`${name} shows one invocation nothing of what another that still runs has set on the same connection`, {
    skip: sql.canReset ? false : 'MySQL before 5.7.3 has no COM_RESET_CONNECTION',
    timeout: 30_000,
  }, async () => {
    const { gateway, handler } = await open({ max: 1 })
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const { promise: isSet, resolve: tellSet } = Promise.withResolvers<void>()
    const runs = handler(async db => {
      await db.query(set)
      assert.deepEqual(await tell(db, get), [{ value: 'of another' }])
      tellSet()
      await over
    }, lambdaContext())
    await Promise.race([isSet, runs])
    const seen = await handler(db => tell(db, get), lambdaContext())
    end()
    await runs
    assert.deepEqual(seen, [{ value: '' }])
    assert.equal(gateway.stats().connections, 1)
  })

  test(`${name} shows an invocation that waits for a connection nothing of what another had set before a transaction that it left open`, {
    skip: sql.canReset ? false : 'MySQL before 5.7.3 has no COM_RESET_CONNECTION',
    timeout: 30_000,
  }, async () => {
    const { gateway, handler } = await open({ max: 1 })
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const { promise: isTaken, resolve: tellTaken } = Promise.withResolvers<void>()
    const { promise: mayEnd, resolve: letEnd } = Promise.withResolvers<void>()
    const leaves = handler(async db => {
      const connection = await db.take()
      await connection.query(set)
      await connection.query('BEGIN')
      tellTaken()
      await over
      connection.release()
      await mayEnd
    }, lambdaContext())
    await Promise.race([isTaken, leaves])
    const seen = handler(db => tell(db, get), lambdaContext())
    // The other asks the pool meanwhile.
    for (let turns = 0; turns < 50; turns += 1) await new Promise(resolve => setImmediate(resolve))
    end()
    const value = await seen
    letEnd()
    await leaves
    assert.deepEqual(value, [{ value: '' }])
    assert.equal(gateway.stats().connections, 1)
  })
}
