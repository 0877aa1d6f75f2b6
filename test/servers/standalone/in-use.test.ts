// What becomes of connections that are in use, asked for or on their way when a pool ends or is cut off.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { sessionOf, useKinds } from '../../support/kinds.ts'
import { inLambda, lambdaContext } from '../../support/lambda.ts'
import { runModule } from '../../support/node-process.ts'
import { startRelay } from '../../support/relay.ts'
import { useStandaloneKinds } from './kinds.ts'

const standalone = (await useStandaloneKinds()).kinds
const { kinds } = await useKinds(true)

interface Middleware {
  before(request: object): Promise<void> | void
  after(request: object): Promise<void> | void
  close(): Promise<void>
}

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => 'answered',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  )

for (const { name, gate, create, sql } of standalone) {
  test(`${name} tells everybody who still waits when closing takes too long`, async t => {
    const { options } = await gate()
    const pool = create({ ...options, max: 1 })
    await pool.query(sql.session)
    const running = outcome(pool.query(sql.sleep))
    const waiting = outcome(pool.query(sql.session))
    for (let count = 0; count < 50; count += 1) await turn()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const closed = pool.close()
    t.mock.timers.tick(5_000)
    t.mock.timers.reset()
    const [first, second] = await Promise.all([running, waiting, closed])
    assert.notEqual(first, 'answered')
    assert.equal(second, 'RDS_IAM_CLOSED')
  })

  test(`${name} is ended by its own \`end()\`, which a script can wait for`, async () => {
    const { options } = await gate()
    const entry = name === 'createPgPool' ? 'pg' : 'mysql2'
    const source = `
      import { ${name} } from './src/${entry}.ts'
      const pool = ${name}(${JSON.stringify(options)})
      const busy = pool.query(${JSON.stringify(sql.session)})
      await pool.end()
      await Promise.allSettled([busy])
      const idle = ${name}(${JSON.stringify(options)})
      await idle.query('SELECT 1')
      await idle.end()
      console.log('true')`
    assert.equal(await runModule(source), true)
  })
}

for (const { name, gate, create, createHandler, sql, isPool } of kinds) {
  if (!isPool) {
    test(`${name} tells everybody who waits for a connection that it was closed`, async () => {
      const { options } = await gate()
      const managed = { AWS_LAMBDA_MAX_CONCURRENCY: '4' }
      const middleware = inLambda(
        () => create({ ...options, max: 1, prefetch: false }),
        managed,
      ) as Middleware
      const [first, ...others] = Array.from({ length: 4 }, () => ({ context: lambdaContext() }))
      await middleware.before(first as object)
      const waiting = others.map(request => outcome(Promise.resolve(middleware.before(request))))
      for (let count = 0; count < 20; count += 1) await turn()
      const closed = middleware.close()
      assert.deepEqual(await Promise.all(waiting), ['RDS_IAM_CLOSED', 'RDS_IAM_CLOSED', 'RDS_IAM_CLOSED'])
      await middleware.after(first as object)
      await closed
    })
    continue
  }

  test(`${name} leaves no connection behind where a handler was cut off while others of its calls waited`, async () => {
    const { options, gateway } = await gate()
    const handler = inLambda(() => createHandler({ ...options, max: 1, prefetch: false }))
    for (let count = 0; count < 3; count += 1) {
      const cutOff = handler(
        db => Promise.allSettled([db.query(sql.sleep), db.query(sql.session)]),
        lambdaContext(600),
      )
      await assert.rejects(cutOff, { name: 'TimeoutError' })
    }
    await sleep(200)
    assert.equal(gateway.stats().open, 0)
  })

  test(`${name} opens no pool for an invocation that was waiting when it was closed`, async () => {
    const { options, gateway } = await gate()
    const relay = await startRelay(gateway.port)
    relay.stall()
    const endpoint = { host: 'localhost', port: gateway.port }
    const given = { ...options, port: relay.port, endpoint, connectTimeoutMs: 2_000 }
    const middleware = inLambda(() => create(given)) as Middleware
    const waiting = outcome(Promise.resolve(middleware.before({ context: lambdaContext() })))
    for (let count = 0; count < 20; count += 1) await turn()
    await middleware.close()
    relay.resume()
    assert.notEqual(await waiting, 'answered')
    while (gateway.stats().open > 0) await turn()
    relay.close()
  })

  test(`${name} pings a connection that was silent for long, although others were used all the time`, async () => {
    const { options, gateway } = await gate()
    const relay = await startRelay(gateway.port)
    const endpoint = { host: 'localhost', port: gateway.port }
    const given = { ...options, port: relay.port, endpoint, max: 2, pingAfterIdleMs: 1_100, prefetch: false }
    const handler = inLambda(() => createHandler(given))
    const both = (db: { take(): Promise<{ query(sql: string): Promise<unknown>; release(): void }> }) =>
      Promise.all([db.take(), db.take()]).then(async taken => {
        await Promise.all(taken.map(connection => connection.query(sql.session)))
        for (const connection of taken) connection.release()
      })
    await handler(both, lambdaContext())
    relay.swallow()
    relay.heal()
    // Silent for long enough by now; then the one of the two that took its place is used every moment.
    await sleep(1_200)
    await handler(sessionOf(sql), lambdaContext())
    assert.equal(gateway.stats().connections, 3)
    await handler(both, lambdaContext())
    relay.close()
  })
}
