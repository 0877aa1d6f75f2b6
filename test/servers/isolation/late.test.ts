// What the code of an invocation that has ended sends later is not run: the next invocation has the connection to itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Db, Taken } from '../../support/db.ts'
import { useKinds } from '../../support/kinds.ts'
import { lambdaContext, recordingLogger } from '../../support/lambda.ts'
import { createLambdaHandler, managedInstances, tell, until } from './invocations.ts'

const { kinds, missing } = await useKinds()
test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})

const insert = (text: string) => `INSERT INTO note VALUES ('${text}')`

interface Callbacks {
  query(sql: string, done: () => void): unknown
  /** mysql2's own connection, behind its promises. */
  readonly connection?: Callbacks
}

/** How an invocation's code holds a connection after its end, and sends a query. */
const holders: Readonly<Record<string, (db: Db, late: Promise<void>) => Promise<void>>> = {
  async 'a promise chain that nobody awaits'(db, late) {
    const connection = await db.take()
    late.then(() => connection.query(insert('late')))
    connection.release()
  },
  async 'a chain on a connection that was not released'(db, late) {
    const connection = await db.take()
    late.then(() => connection.query(insert('late')))
  },
  async 'a query with a callback'(db, late) {
    const connection = await db.take()
    const raw = connection.raw as unknown as Callbacks
    const own = 'execute' in raw ? raw.connection : raw
    late.then(() => void own?.query(insert('late'), () => {}))
    connection.release()
  },
  async 'a loop of queries'(db, late) {
    const connection = await db.take()
    const loop = async (taken: Taken): Promise<void> => {
      await late
      for (let count = 0; count < 3; count += 1) await taken.query(insert('late'))
    }
    loop(connection)
    connection.release()
  },
}

for (const kind of kinds) {
  const { name, sql, gate, isPool } = kind
  for (const [held, hold] of Object.entries(holders)) {
    if (!isPool && held.includes('not released')) continue
    for (const [where, variables] of [
      ['', {}],
      [', on Managed Instances', managedInstances],
    ] as const) {
      test(`${name} does not run what an ended invocation sends inside the next one's transaction, by ${held}${where}`, {
        timeout: 20_000,
      }, async t => {
        const unhandled: unknown[] = []
        const note = (reason: unknown) => void unhandled.push(reason)
        process.on('unhandledRejection', note)
        t.after(() => process.off('unhandledRejection', note))
        const { options } = await gate()
        const logger = recordingLogger()
        const handler = createLambdaHandler(kind, { ...options, logger, max: 1 }, variables)
        const refusals = () => logger.lines.filter(({ fields }) => fields.event === 'query:refused')
        const { promise: late, resolve: send } = Promise.withResolvers<void>()
        const ended = lambdaContext()
        await handler(db => hold(db, late), ended)
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
        await until(() => refusals().length > 0, 'the log tells of it')
        const [line, ...others] = refusals()
        assert.deepEqual(others, [])
        assert.match(line?.level ?? '', /^(warn|error)$/)
        assert.match(JSON.stringify(line), new RegExp(ended.awsRequestId))
        assert.deepEqual(unhandled, [])
        assert.ok(await handler(db => db.query(sql.session), lambdaContext()))
      })
    }
  }

  if (isPool) continue
  test(`${name} does not run what an ended invocation sends while no other one runs`, {
    timeout: 20_000,
  }, async () => {
    const { options } = await gate()
    const logger = recordingLogger()
    const handler = createLambdaHandler(kind, { ...options, logger })
    let held: Db | undefined
    await handler(async db => {
      held = db
      await db.query(sql.session)
    }, lambdaContext())
    held?.query(insert('late')).catch(() => {})
    await until(
      () => logger.lines.some(({ fields }) => fields.event === 'query:refused'),
      'the log tells of it',
    )
    assert.deepEqual(await handler(db => tell(db, 'SELECT text FROM note'), lambdaContext()), [])
  })
}
