// Whether a server takes writes, as PostgreSQL says it.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import pg from 'pg'
import { protocolOf } from '../../../src/drivers/pg/internals.ts'
import { watchRole } from '../../../src/drivers/pg/role.ts'
import { startPostgres } from '../../support/servers.ts'

const [primary, standby] = await Promise.all([startPostgres(), startPostgres({ isStandby: true })])
after(() => Promise.all([primary.stop(), standby.stop()]))
// It is started once it recovers, and lets somebody in a moment later.
while (!(await standby.query('SELECT 1').catch(() => undefined)));
await primary.query(
  `CREATE USER reporter; ALTER USER reporter SET default_transaction_read_only = on;
   CREATE USER accountant; ALTER USER accountant IN DATABASE postgres SET default_transaction_read_only = on`,
)
await primary.query('CREATE DATABASE archive')
await primary.query('ALTER DATABASE archive SET default_transaction_read_only = on')

interface Login {
  readonly user?: string
  readonly database?: string
  readonly options?: string
  /** Whether the server is one that says nothing of its role at login, as PostgreSQL before 14 does not. */
  readonly isOld?: boolean
}

/** What the server of a new client says of writes, and whether it was asked. */
async function look(port: number, { user = 'postgres', database = 'postgres', options, isOld }: Login = {}) {
  const client = new pg.Client({ host: '127.0.0.1', port, user, database, ...(options && { options }) })
  after(() => client.end())
  const protocol = protocolOf(client)
  const { emit } = protocol
  if (isOld) {
    protocol.emit = (name: string, ...given: unknown[]) =>
      name === 'parameterStatus' || emit.call(protocol, name, ...given)
  }
  const takesWrites = watchRole(client)
  await client.connect()
  const told = takesWrites()
  return { client, takesWrites, isAsked: told instanceof Promise, told: await told }
}

test('a primary and a standby say at login what they are', async () => {
  const { isAsked, told } = await look(primary.port)
  assert.deepEqual([isAsked, told], [false, true])
  const other = await look(standby.port)
  assert.deepEqual([other.isAsked, other.told], [false, false])
})

test('a server that does not say it is asked', async () => {
  const { isAsked, told } = await look(primary.port, { isOld: true })
  assert.deepEqual([isAsked, told], [true, true])
  assert.equal((await look(standby.port, { isOld: true })).told, false)
})

for (const [whose, login] of [
  ['a user', { user: 'reporter' }],
  ['a user in one database', { user: 'accountant' }],
  ['a database', { database: 'archive' }],
  ['a client', { options: '-c default_transaction_read_only=on' }],
] as const) {
  test(`a server takes writes although ${whose} is read-only`, async () => {
    assert.equal((await look(primary.port, login)).told, true)
    assert.equal((await look(primary.port, { ...login, isOld: true })).told, true)
    assert.equal((await look(standby.port, { isOld: true })).told, false)
  })
}

test('a server on which all are read-only takes no writes', async () => {
  await primary.query('ALTER SYSTEM SET default_transaction_read_only = on')
  await primary.query('SELECT pg_reload_conf()')
  try {
    while (
      (await primary.query('SHOW default_transaction_read_only'))[0]?.default_transaction_read_only !== 'on'
    );
    for (const isOld of [false, true]) assert.equal((await look(primary.port, { isOld })).told, false)
  } finally {
    await primary.query('ALTER SYSTEM RESET default_transaction_read_only')
    await primary.query('SELECT pg_reload_conf()')
  }
})

test('a standby that is promoted takes writes', async () => {
  const { client, takesWrites } = await look(standby.port)
  await client.query('SELECT pg_promote()')
  // The server says so before its next answer.
  await client.query('')
  assert.equal(takesWrites(), true)
})

test('a connection that was lost has nothing to say', async () => {
  const { client, takesWrites } = await look(primary.port, { isOld: true })
  const ended = new Promise(resolve => client.once('end', resolve))
  client.on('error', () => {})
  const [row] = (await client.query('SELECT pg_backend_pid() AS pid')).rows
  await primary.query(`SELECT pg_terminate_backend(${row.pid}, 5000)`)
  await ended
  await assert.rejects(async () => takesWrites())
})
