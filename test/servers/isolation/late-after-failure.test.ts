// An invocation that got no connection, or was cut off, leaves nothing open: what a later one in the same asynchronous context sends after
// its end is not run, as ever.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useKinds } from '../../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { startRelay } from '../../support/relay.ts'
import { createLambdaHandler, tell, until } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const insert = (text: string) => `INSERT INTO note VALUES ('${text}')`

const failures = ['got no connection', 'middy cut off'] as const

for (const kind of kinds) {
  const { name, gate } = kind
  for (const failure of failures) {
    test(`${name} does not run what an ended invocation sends, after one that ${failure}`, {
      timeout: 20_000,
    }, async () => {
      const { options } = await gate()
      const relay = await startRelay(options.port)
      const logger = recordingLogger()
      const handler = createLambdaHandler(kind, {
        ...options,
        port: relay.port,
        endpoint: { host: 'localhost', port: options.port },
        connectTimeoutMs: 1_000,
        logger,
        max: 1,
      })
      const { promise: late, resolve: send } = Promise.withResolvers<void>()
      // All of them are called here, in one asynchronous context, as Lambda's runtime does.
      if (failure === 'got no connection') {
        await relay.refuse()
        await assert.rejects(handler(() => {}, lambdaContext()))
        await relay.accept()
      } else {
        await handler(db => db.query('SELECT 1'), lambdaContext())
        const cutOff = handler(() => new Promise(() => {}), lambdaContext(300))
        await assert.rejects(cutOff, { name: 'TimeoutError' })
      }
      const ended = lambdaContext()
      await handler(async db => {
        const connection = await db.take()
        late.then(() => connection.query(insert('late'))).catch(() => {})
        await connection.query('SELECT 1')
        connection.release()
      }, ended)
      await handler(async db => {
        const connection = await db.take()
        await connection.query('BEGIN')
        send()
        // Whatever the server would be sent is on its way by then.
        for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
        await connection.query(insert('own'))
        assert.deepEqual(await tell(connection, 'SELECT text FROM note'), [{ text: 'own' }])
        await connection.query('ROLLBACK')
        connection.release()
      }, lambdaContext())
      assert.deepEqual(await kind.administer('SELECT text FROM note'), [])
      const refusals = () => logger.lines.filter(({ fields }) => fields.event === 'query:refused')
      await until(() => refusals().length > 0, 'the log tells of it')
      assert.match(JSON.stringify(refusals()), new RegExp(ended.awsRequestId))
    })
  }
}
