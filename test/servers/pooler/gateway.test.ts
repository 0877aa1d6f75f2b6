// The gateway, which verifies tokens as IAM does, with a pooler in place of the server behind it: both halves of what RDS Proxy is.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { GatewayUpstream } from '../../../kit/src/index.ts'
import { credentials } from '../../support/database.ts'
import { startGateway } from '../../support/gateway.ts'
import { type Pooler, startPooler, withoutPooler } from '../../support/pooler.ts'
import { holdTests } from '../../support/registration.ts'
import { untilTriedAgain } from '../../support/time.ts'
import { tell } from '../isolation/invocations.ts'
import { openEnvironment, session, statements, usePooledFactories } from './factories.ts'

const registered = holdTests()
test('has been run through PgBouncer', { skip: withoutPooler }, () => {})

const { factories, server } = await usePooledFactories()

/** A gateway before a pooler, and what reaches it with a token that it verifies. */
async function gate({ port, options }: Pooler, upstream: Partial<GatewayUpstream> = {}) {
  const { tls, signer, endpoint, user, database } = options
  const gateway = await startGateway({
    upstream: { port, ca: tls.ca, password: await signer(), ...upstream },
    region: 'eu-west-1',
    endpoints: [endpoint],
  })
  after(() => gateway.close())
  const address = { host: 'localhost', port: gateway.port, endpoint, user, database }
  return { ...address, tls: { ca: gateway.ca }, credentials }
}

if (!withoutPooler) {
  const pooler = await startPooler(server, 'transaction', { default_pool_size: 1 })
  const options = await gate(pooler)
  const refused = {
    'its password': [await gate(pooler, { password: 'wrong' }), /the password that the gateway has/],
    'plain text': [await gate(pooler, { ca: undefined }), /name its authority with --upstream-ca/],
  } as const
  const full = await startPooler(server, 'transaction', { max_client_conn: 1 })
  const crowded = await gate(full)

  for (const factory of factories) {
    test(`${factory.name} shares a session of the pooler with others that the gateway lets in`, async () => {
      const both = [openEnvironment(factory, options), openEnvironment(factory, options)]
      const sessions = new Set<unknown>()
      for (const { run } of [...both, ...both]) {
        sessions.add(await run(session))
        await run(statements('BEGIN', "INSERT INTO note VALUES ('left')"))
        assert.deepEqual(await run(db => tell(db, 'SELECT text FROM note')), [])
      }
      assert.equal(sessions.size, 1)
      for (const { run, events } of both) {
        assert.equal(events('connection:opened').length, 1)
        await run(db => db.end())
      }
    })

    test(`${factory.name} is refused by the gateway before the pooler hears of it`, async () => {
      const stranger = { accessKeyId: 'strangerkey', secretAccessKey: 'strangersecret' }
      const { run } = openEnvironment(factory, { ...options, credentials: stranger })
      await assert.rejects(
        untilTriedAgain(async () => run(session)),
        { code: 'RDS_IAM_ACCESS_DENIED', message: /PAM authentication failed/ },
      )
    })

    for (const [what, [options, remedy]] of Object.entries(refused)) {
      test(`${factory.name} hears that the pooler refused the gateway for ${what}, and not the token`, async () => {
        const { run } = openEnvironment(factory, options)
        await assert.rejects(
          async () => run(session),
          (error: { code?: string; message: string }) => {
            assert.equal(error.code, 'RDS_IAM_DATABASE', error.message)
            assert.match(error.message, /The gateway took the token of "notes_app"/)
            assert.match(error.message, remedy)
            return true
          },
        )
      })
    }

    test(`${factory.name} waits for a place that the pooler behind the gateway has not`, async () => {
      const other = openEnvironment(factory, { ...full.options, host: 'localhost' })
      await other.run(session)
      const { run, events, logger } = openEnvironment(factory, crowded)
      const { debug } = logger
      logger.debug = (message, fields) => {
        debug(message, fields)
        if (fields.event === 'connection:retried') void other.run(db => db.end())
      }
      assert.ok(Number(await run(session)) > 0)
      const codes = new Set(events('connection:retried').map(({ fields }) => fields.code))
      assert.deepEqual([...codes], ['RDS_IAM_THROTTLED'])
      await run(db => db.end())
    })
  }
}

registered()
