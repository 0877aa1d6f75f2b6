// A pooler greets its clients with what a server told it at some earlier time: that says nothing of the server that they get.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startPooler, withoutPooler } from '../../support/pooler.ts'
import { holdTests } from '../../support/registration.ts'
import { startRelay } from '../../support/relay.ts'
import { startPostgres } from '../../support/servers.ts'
import { openEnvironment, usePooledFactories } from './factories.ts'

const registered = holdTests()
test('has been run through PgBouncer', { skip: withoutPooler }, () => {})

if (!withoutPooler) {
  const [{ factories, server: writer }, reader] = await Promise.all([
    usePooledFactories(),
    startPostgres({ isStandby: true }),
  ])
  after(() => reader.stop())
  // It is started once it recovers, and lets somebody in a moment later.
  while (!(await reader.query('SELECT 1').catch(() => undefined)));
  const site = await startRelay(writer.port)
  const target = { port: site.port, user: 'postgres', database: 'postgres' }
  const { options } = await startPooler(target, 'transaction', { server_login_retry: 0 })

  /** Has the pooler find another server where the one that it knows was. */
  const failOver = async ({ port }: { readonly port: number }) => {
    site.aim(port)
    await site.cut()
  }

  for (const factory of factories) {
    test(`${factory.name} asks the server behind a pooler whether it takes writes, where a writer is wanted`, async () => {
      const open = (connectTimeoutMs: number) =>
        openEnvironment(factory, { ...options, targetSessionAttrs: 'read-write', connectTimeoutMs })
      const greeted = open(10_000)
      await greeted.run(db => db.query('CREATE TABLE IF NOT EXISTS visit (at timestamptz)'))

      await failOver(reader)
      const early = open(1_000)
      await early.run(db => db.query('SELECT 1'))
      assert.equal(early.events('connection:read-only').length, 1)

      await failOver(writer)
      const late = open(10_000)
      await late.run(db => db.query('INSERT INTO visit VALUES (now())'))
      for (const { events } of [greeted, late]) assert.equal(events('connection:read-only').length, 0)
      for (const { run } of [greeted, early, late]) await run(db => db.end())
    })
  }
}

registered()
