// What handlers get in place of a connection or pool.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import middy, { type MiddlewareObj } from '@middy/core'
import { RdsIamError } from '../../src/index.ts'
import { useKinds } from '../support/kinds.ts'
import { contextWithoutDeadline, inLambda, lambdaContext } from '../support/lambda.ts'

const { kinds, missing } = await useKinds(true)
test('has MySQL or MariaDB', { skip: missing === '' ? false : missing }, () => {})

interface Wrapped {
  readonly number: number
  readonly inner: { query(sql: string): Promise<unknown> }
}

for (const { name, gate, create, sql, isPool } of kinds) {
  async function open(wrap: (inner: never) => unknown) {
    const { gateway, options } = await gate()
    // In a function where one invocation is over when the next begins.
    const middleware = inLambda(() => create({ ...options, prefetch: false, wrap } as never)) as MiddlewareObj
    const handler = middy<(db: Wrapped) => unknown>()
      .use(middleware)
      .handler((run, context) => run((context as unknown as { db: Wrapped }).db))
    return { gateway, middleware: middleware as unknown as { close(): Promise<void> }, handler }
  }

  /** Numbers what it makes. */
  function count() {
    let made = 0
    return (inner: never): Wrapped => {
      made += 1
      return { number: made, inner }
    }
  }

  test(`${name} gives the handler what \`wrap\` makes, once for all invocations`, async () => {
    const { handler, gateway } = await open(count())
    for (let invocation = 0; invocation < 3; invocation += 1) {
      const number = await handler(async db => {
        await db.inner.query(sql.session)
        return db.number
      }, lambdaContext() as never)
      assert.equal(number, 1)
    }
    assert.equal(gateway.stats().connections, 1)
  })

  test(`${name} has \`wrap\` make another after a handler was cut off, and gives the old one to nobody`, async () => {
    const { handler } = await open(count())
    const cutOff = handler(async db => {
      await db.inner.query(sql.sleep)
    }, lambdaContext(700) as never)
    await assert.rejects(cutOff, { name: 'TimeoutError' })
    assert.equal(await handler(db => db.number, lambdaContext() as never), 2)
    assert.equal(await handler(db => db.number, lambdaContext() as never), 2)
  })

  for (const [title, wrap, message] of [
    ['throws', () => assert.fail('no schema'), /`wrap` threw: no schema/],
    ['returns nothing', () => undefined, /`wrap` returned nothing/],
    ['returns null', () => null, /`wrap` returned nothing/],
    ['returns a number', () => 1, /`wrap` returned a number/],
    ['returns a promise', async () => ({}), /`wrap` returned a promise/],
  ] as const) {
    test(`${name} keeps its connection, and says so, where \`wrap\` ${title}`, async () => {
      const { handler, gateway } = await open(wrap)
      for (let invocation = 0; invocation < 2; invocation += 1) {
        await assert.rejects(
          async () => handler(() => assert.fail('was called'), lambdaContext() as never),
          (error: unknown) => {
            assert.ok(error instanceof RdsIamError)
            assert.equal(error.code, 'RDS_IAM_OPTIONS')
            assert.match(error.message, message)
            assert.ok(error.message.startsWith(`${name.split(' ')[0]}: `), error.message)
            return true
          },
        )
      }
      assert.equal(gateway.stats().connections, 1)
    })
  }

  test(`${name} refuses a \`wrap\` that is no function`, async () => {
    const { options } = await gate()
    assert.throws(() => create({ ...options, wrap: {} } as never), /`wrap` is not a function/)
  })

  test(`${name} ends with \`close()\`: what is idle at once, what is in use when its invocation ends`, async () => {
    const { handler, gateway, middleware } = await open(inner => ({ number: 0, inner }))
    await handler(db => db.inner.query(sql.session), lambdaContext() as never)
    let closing: Promise<void> | undefined
    await handler(async db => {
      closing = middleware.close()
      await db.inner.query(sql.session)
    }, lambdaContext() as never)
    await closing
    await middleware.close()
    while (gateway.stats().open > 0) await new Promise(resolve => setImmediate(resolve))
    await assert.rejects(async () => handler(() => {}, lambdaContext() as never), { code: 'RDS_IAM_CLOSED' })
  })

  if (!isPool) continue

  test(`${name} leaves a pool that somebody holds usable: after a cut-off, and between invocations`, async () => {
    let held: Wrapped | undefined
    const { handler } = await open(inner => ({ number: 0, inner }))
    await handler(db => {
      held = db
    }, lambdaContext(500) as never)
    // The invocation that gave it is long over.
    await new Promise(resolve => setTimeout(resolve, 600))
    await held?.inner.query(sql.session)
    const cutOff = handler(db => db.inner.query(sql.sleep), lambdaContext(700) as never)
    await assert.rejects(cutOff, { name: 'TimeoutError' })
    await held?.inner.query(sql.session)
    await handler(db => db.inner.query(sql.session), contextWithoutDeadline() as never)
  })
}
