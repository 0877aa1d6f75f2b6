// What a pooler says to whom it does not let in: PgBouncer's own words, and those of the server that it passes on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { pgOptions } from '../../../src/pg.ts'
import { type PoolerSettings, startPooler, withoutPooler } from '../../support/pooler.ts'
import { holdTests } from '../../support/registration.ts'
import { untilTriedAgain } from '../../support/time.ts'
import { assertFails, type Options } from '../failures/connecting.ts'
import { knownFailures } from '../failures/known.ts'
import { tell } from '../isolation/invocations.ts'
import { openEnvironment, usePooledFactories } from './factories.ts'

const registered = holdTests()
test('has been run through PgBouncer', { skip: withoutPooler }, () => {})

const { factories, server, administer } = await usePooledFactories()
const start = (settings: PoolerSettings = {}, target = server) => startPooler(target, 'transaction', settings)

/** Logs in as any other client of the pooler does, and stays. */
async function hold(options: Options): Promise<pg.Client> {
  const client = new pg.Client(await pgOptions(options))
  client.on('error', () => {})
  await client.connect()
  return client
}

/** How each is provoked: what to connect with. */
const provocations: Readonly<Record<string, () => Promise<Options>>> = {
  'unsupported startup parameter: statement_timeout': async () => ({
    ...(await start()).options,
    client: { statement_timeout: 1 },
  }),
  'no more connections allowed (max_client_conn)': async () => {
    const { options } = await start({ max_client_conn: 1 })
    await hold(options)
    return options
  },
  query_wait_timeout: async () => (await start({ query_wait_timeout: 1 }, { port: 1 })).options,
  'database "orders" is disabled': async () => {
    const { options, command } = await start()
    await command('DISABLE notes')
    return options
  },
  'no such database: orders': async () => ({ ...(await start()).options, database: 'orders' }),
}

for (const [literal, provoke] of withoutPooler ? [] : Object.entries(provocations)) {
  test(`names what to do about "${literal}" of a pooler`, async () => {
    await assertFails('postgres', literal, await provoke())
  })
}

test('has made the pooler say all that the table says of it', () => {
  const rows = knownFailures.filter(({ from }) => from === 'pooler')
  assert.deepEqual(Object.keys(provocations).sort(), rows.map(({ message }) => message).sort())
})

/** What the server says to a pooler, which some versions pass on under a code of their own. */
const passedOn = [
  [
    'ALTER USER notes_app NOLOGIN',
    'ALTER USER notes_app LOGIN',
    'RDS_IAM_NOT_GRANTED',
    /ALTER ROLE "notes_app" LOGIN/,
  ],
  [
    'ALTER USER notes_app CONNECTION LIMIT 0',
    'ALTER USER notes_app CONNECTION LIMIT -1',
    'RDS_IAM_THROTTLED',
    /ALTER ROLE "notes_app" CONNECTION LIMIT/,
  ],
] as const

// It lets nobody in: whoever it let in once, it would greet without the server.
const closed = withoutPooler ? undefined : await start({ server_login_retry: 0 })

for (const factory of closed === undefined ? [] : factories) {
  const { options } = closed as NonNullable<typeof closed>
  for (const [refuse, admit, code, remedy] of passedOn) {
    test(`${factory.name} tells what the server says to the pooler after ${refuse}`, async () => {
      const { run } = openEnvironment(factory, options)
      await administer(refuse)
      try {
        await assert.rejects(
          untilTriedAgain(async () => run(db => db.query('SELECT 1'))),
          error => {
            assert.equal((error as { code?: string }).code, code)
            assert.match((error as Error).message, remedy)
            return true
          },
        )
      } finally {
        await administer(admit)
      }
    })
  }

  test(`${factory.name} takes a refused password of a pooler for a refused token`, async () => {
    const signer = async () => (await options.signer()).replace('X-Amz-Signature=', '$&0')
    const { run, events } = openEnvironment(factory, { ...options, signer })
    await assert.rejects(
      untilTriedAgain(async () => run(db => db.query('SELECT 1'))),
      { code: 'RDS_IAM_ACCESS_DENIED', message: /`rds-db:connect` on .*<prx-…>\/notes_app/ },
    )
    assert.ok(events('connection:retried').length > 0)
  })

  test(`${factory.name} waits for its turn where a pooler takes no more clients`, async () => {
    const { options } = await start({ max_client_conn: 1 })
    const other = await hold(options)
    const { run, events, logger } = openEnvironment(factory, options)
    const { debug } = logger
    logger.debug = (message, fields) => {
      debug(message, fields)
      if (fields.event === 'connection:retried') void other.end()
    }
    assert.deepEqual(await run(db => tell(db, 'SELECT 1 AS one')), [{ one: 1 }])
    assert.ok(events('connection:retried').every(({ fields }) => fields.code === 'RDS_IAM_THROTTLED'))
    assert.ok(events('connection:retried').length > 0)
    await run(db => db.end())
  })

  test(`${factory.name} tells of a pooler that takes no more clients until the time is over`, async () => {
    const { options } = await start({ max_client_conn: 1 })
    const other = await hold(options)
    const { run } = openEnvironment(factory, options)
    await assert.rejects(
      untilTriedAgain(async () => run(db => db.query('SELECT 1'))),
      { code: 'RDS_IAM_THROTTLED', remedy: /max_client_conn/ },
    )
    await other.end()
  })
}

registered()
