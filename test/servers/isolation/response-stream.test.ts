// A handler that answers with a stream has its connection until the stream closes.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import middy, { type MiddlewareObj } from '@middy/core'
import { executionModeStreamifyResponse } from '@middy/core/StreamifyResponse'
import type { Context } from 'aws-lambda'
import { type Db, mysqlDb, pgDb } from '../../support/db.ts'
import { sessionOf, useKinds } from '../../support/kinds.ts'
import { inLambda, lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { createLambdaHandler, managedInstances, tell } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

/** What Lambda gives a function that streams. */
const lambda = {
  streamifyResponse: (handler: object) => handler,
  HttpResponseStream: { from: (stream: object) => stream },
}
Object.assign(globalThis, { awslambda: lambda })

const pages = [0, 1, 2].map(number => [{ number }])
const expected = pages.map(page => `${JSON.stringify(page)}\n`).join('')

/** A body whose rows are asked for while it is read. */
async function* readPages(db: Db, tellSession?: (session: number) => void, session?: string) {
  if (session !== undefined) tellSession?.(Number((await db.query(session))[0]?.value))
  for (const number of pages.keys()) yield `${JSON.stringify(await tell(db, `SELECT ${number} AS number`))}\n`
}

for (const kind of kinds) {
  const { name, sql, gate, create } = kind
  const dbOf = (/Pg/.test(name) ? pgDb : mysqlDb) as (raw: object) => Db

  for (const isHttp of [true, false]) {
    const body = isHttp ? 'the body of a response' : 'a body alone'
    test(`${name} serves what a handler queries while middy streams ${body}, and the next one after it`, {
      timeout: 20_000,
    }, async () => {
      const { gateway, options } = await gate()
      const logger = recordingLogger()
      const middleware = inLambda(() => create({ ...options, prefetch: false, logger, max: 1 }))
      const handler = middy({ executionMode: executionModeStreamifyResponse })
        .use(middleware as MiddlewareObj)
        .handler(async (_, context) => {
          const body = Readable.from(readPages(dbOf((context as unknown as { db: object }).db)))
          return isHttp ? { statusCode: 200, headers: {}, body } : body
        }) as unknown as (event: object, stream: PassThrough, context: Context) => Promise<void>
      for (let count = 0; count < 3; count += 1) {
        const stream = new PassThrough()
        const [received] = await Promise.all([text(stream), handler({}, stream, lambdaContext())])
        assert.equal(received, expected)
      }
      assert.equal(gateway.stats().connections, sql.canReset ? 1 : gateway.stats().connections)
      assert.deepEqual(
        logger.lines.filter(({ fields }) => fields.event === 'query:refused'),
        [],
      )
    })
  }

  for (const end of ['is read to its end', 'is destroyed'] as const) {
    test(`${name} keeps a connection for a stream that a handler returns until it ${end}, then gives it to another one that waits`, {
      timeout: 20_000,
    }, async () => {
      const { gateway, options } = await gate()
      const handler = createLambdaHandler(
        kind,
        { ...options, max: 1, connectTimeoutMs: 5_000 },
        managedInstances,
      )
      const outside = AsyncLocalStorage.snapshot()
      const { promise: session, resolve: tellSession } = Promise.withResolvers<number>()
      const body = (await handler(
        db => Readable.from(readPages(db, tellSession, sql.session)),
        lambdaContext(),
      )) as Readable
      const order: string[] = []
      const rows = body[Symbol.asyncIterator]()
      const { value: first } = await rows.next()
      // Who reads the stream is not inside the other invocation.
      const next = outside(() => handler(sessionOf(sql), lambdaContext())).then(session => {
        order.push('the next one')
        return session
      })
      let received = String(first)
      if (end === 'is destroyed') {
        await rows.return?.()
      } else {
        for (let page = await rows.next(); !page.done; page = await rows.next()) received += page.value
        assert.equal(received, expected)
      }
      order.push('the stream')
      const nextSession = await next
      if (!kind.isPool) assert.deepEqual(order, ['the stream', 'the next one'])
      if (sql.canReset) {
        assert.equal(nextSession, await session)
        assert.equal(gateway.stats().connections, 1)
      }
    })
  }
}
