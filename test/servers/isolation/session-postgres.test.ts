// What an invocation does to a session of PostgreSQL, the next one does not find, in a client as in a pool, with the default options.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'
import { usePostgresKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import {
  assertNothingLeft,
  commonWays,
  createLambdaHandler,
  type Leftover,
  prepareServers,
  type Ways,
} from './invocations.ts'

const kinds = await usePostgresKinds()
await prepareServers(kinds, () => [
  'CREATE ROLE owner_of_session SUPERUSER LOGIN; GRANT rds_iam TO owner_of_session',
  'CREATE SEQUENCE counter; GRANT ALL ON counter TO notes_app',
  `CREATE TABLE tenant_note (tenant text, text text); INSERT INTO tenant_note VALUES ('a', 'of a');
   GRANT SELECT ON tenant_note TO notes_app; ALTER TABLE tenant_note ENABLE ROW LEVEL SECURITY;
   CREATE POLICY own ON tenant_note USING (tenant = current_setting('app.tenant', true))`,
  `CREATE FUNCTION run(sql text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE sql; END'`,
])

const setting = (name: string) => `SELECT current_setting('${name}', true) AS value`

const leftovers: readonly Leftover[] = [
  { name: 'SET search_path', did: ['SET search_path TO nowhere'], look: setting('search_path') },
  {
    name: 'SET statement_timeout',
    did: ['SET statement_timeout = 4321'],
    look: setting('statement_timeout'),
  },
  { name: 'SET TIME ZONE', did: ["SET TIME ZONE 'Asia/Tokyo'"], look: setting('TimeZone') },
  {
    name: 'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
    did: ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'],
    look: setting('default_transaction_read_only'),
  },
  { name: 'SET ROLE', did: ['SET ROLE rds_iam'], look: 'SELECT current_user::text AS role' },
  {
    name: 'SET SESSION AUTHORIZATION',
    did: ['SET SESSION AUTHORIZATION notes_app'],
    look: 'SELECT session_user::text AS role',
    user: 'owner_of_session',
  },
  {
    name: 'a tenant of set_config() that row-level security goes by',
    did: ["SELECT set_config('app.tenant', 'a', false)"],
    look: 'SELECT text FROM tenant_note',
  },
  {
    name: 'CREATE TEMP TABLE',
    did: ['CREATE TEMP TABLE mine (x int)'],
    look: "SELECT to_regclass('pg_temp.mine') IS NULL AS gone",
  },
  {
    name: 'a temporary table in front of a real one',
    did: ["CREATE TEMP TABLE note AS SELECT 'mine' AS text"],
    look: 'SELECT text FROM note',
  },
  {
    name: 'pg_advisory_lock()',
    did: ['SELECT pg_advisory_lock(42)'],
    look: "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'",
  },
  { name: 'LISTEN', did: ['LISTEN news'], look: 'SELECT pg_listening_channels()' },
  {
    name: 'DECLARE … WITH HOLD',
    did: ['DECLARE held CURSOR WITH HOLD FOR SELECT 1'],
    look: "SELECT name FROM pg_cursors WHERE name = 'held'",
  },
  {
    name: 'currval() of a sequence',
    did: ["SELECT nextval('counter')"],
    look: "SELECT currval('counter') IS NOT NULL AS known",
  },
]

const ways: Ways = {
  ...commonWays,
  'did it in a function': did => did.map(sql => `SELECT run('${sql.replaceAll("'", "''")}')`),
}

for (const kind of kinds) {
  for (const leftover of leftovers)
    test(`${kind.name} takes back what an invocation did: ${leftover.name}`, () =>
      assertNothingLeft(kind, leftover, ways))

  test(`${kind.name} takes back all of it at once`, () =>
    assertNothingLeft(
      kind,
      {
        name: 'all',
        did: [
          "SET search_path TO nowhere; SET TIME ZONE 'Asia/Tokyo'; LISTEN news",
          "SELECT set_config('app.tenant', 'a', false), pg_advisory_lock(42)",
          'DECLARE held CURSOR WITH HOLD FOR SELECT 1',
          'SET ROLE rds_iam',
        ],
        look: `SELECT current_setting('search_path') AS path, current_user::text AS role,
          coalesce(current_setting('app.tenant', true), '') AS tenant, current_setting('TimeZone') AS zone,
          (SELECT count(*)::int FROM pg_listening_channels()) AS channels,
          (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
          (SELECT count(*)::int FROM pg_cursors WHERE name = 'held') AS cursors`,
      },
      commonWays,
    ))

  test(`${kind.name} gives the next invocation no notification of what an earlier one listened to`, async () => {
    const { gateway, options } = await kind.gate()
    const handler = createLambdaHandler(kind, { ...options, max: 1 })
    const listening = (sql: string) =>
      handler(async db => {
        const connection = await db.take()
        const heard: unknown[] = []
        const hear = (message: pg.Notification) => void heard.push(message.payload)
        const client = connection.raw as pg.Client
        client.on('notification', hear)
        await connection.query(sql)
        await kind.administer("NOTIFY news, 'for who listens'")
        // A server sends them before it says that it is ready again.
        await connection.query('SELECT 1')
        client.off('notification', hear)
        connection.release()
        return heard
      }, lambdaContext())
    assert.deepEqual(await listening('LISTEN news'), ['for who listens'])
    assert.deepEqual(await listening('SELECT 1'), [])
    assert.equal(gateway.stats().connections, 1)
  })
}
