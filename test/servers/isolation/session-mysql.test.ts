// What an invocation does to a session of MySQL or MariaDB, the next one does not find, in a connection as in a pool, with the default
// options.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { useMysqlKinds } from '../../support/kinds.ts'
import { lambdaContext } from '../../support/lambda.ts'
import {
  assertNothingLeft,
  commonWays,
  createLambdaHandler,
  type Leftover,
  prepareServers,
} from './invocations.ts'

const { kinds, missing } = await useMysqlKinds()
await prepareServers(kinds, ({ hasRoles }) => [
  'CREATE TABLE place (name varchar(20))',
  "GRANT RELOAD ON *.* TO 'notes_app'@'%'",
  ...(hasRoles ? ['CREATE ROLE reader', "GRANT reader TO 'notes_app'@'%'"] : []),
])

const inTransaction = Object.keys(commonWays).filter(way => way.includes('transaction'))

const leftovers: readonly (Leftover & { readonly needsRoles?: true })[] = [
  {
    name: 'SET autocommit = 0',
    did: ['SET autocommit = 0'],
    look: 'SELECT @@autocommit AS value',
    isAnywhere: true,
  },
  {
    name: 'SET SESSION sql_mode',
    did: ["SET SESSION sql_mode = 'ANSI_QUOTES'"],
    look: "SELECT @@sql_mode LIKE '%ANSI_QUOTES%' AS value",
  },
  {
    name: 'what mysql2 asked for when it connected is there again, IGNORE_SPACE of sql_mode',
    did: ["SET @tenant = 'a'", "SET SESSION sql_mode = ''"],
    look: 'SELECT @@sql_mode AS value',
  },
  {
    name: 'SET SESSION time_zone',
    did: ["SET SESSION time_zone = '+09:00'"],
    look: 'SELECT @@time_zone AS value',
  },
  { name: 'SET @tenant', did: ["SET @tenant = 'a'"], look: 'SELECT @tenant AS value' },
  {
    name: 'SET NAMES',
    did: ['SET NAMES latin1'],
    look: 'SELECT @@character_set_client AS client, @@character_set_results AS results, @@collation_connection AS collation',
  },
  { name: 'USE another database', did: ['USE information_schema'], look: 'SELECT DATABASE() AS value' },
  {
    name: 'a temporary table in front of a real one',
    did: ["CREATE TEMPORARY TABLE note SELECT 'mine' AS text"],
    look: 'SELECT text FROM note',
  },
  {
    name: 'GET_LOCK()',
    did: ["SELECT GET_LOCK('news', 5)"],
    look: "SELECT IS_FREE_LOCK('news') AS free",
  },
  {
    name: 'LOCK TABLES … WRITE',
    did: ['LOCK TABLES note WRITE'],
    look: 'SELECT name FROM place',
    isAnywhere: true,
  },
  {
    name: 'FLUSH TABLES WITH READ LOCK',
    did: ['FLUSH TABLES WITH READ LOCK'],
    look: 'DELETE FROM note WHERE FALSE',
    isAnywhere: true,
  },
  {
    name: 'SET ROLE',
    did: ['SET ROLE reader'],
    look: 'SELECT CURRENT_ROLE() AS value',
    needsRoles: true,
    needsAnother: true,
  },
  {
    name: 'SET SESSION TRANSACTION ISOLATION LEVEL',
    did: ['SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE'],
    // Under the name that it has today, or had, or both.
    look: "SHOW SESSION VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')",
  },
  {
    name: 'SET TRANSACTION, which is for the next transaction only',
    did: ['SET TRANSACTION READ ONLY'],
    look: 'DELETE FROM note WHERE FALSE',
    isGoneOnceSeen: true,
    not: inTransaction,
  },
  {
    name: 'SET SESSION TRANSACTION READ ONLY',
    did: ['SET SESSION TRANSACTION READ ONLY'],
    look: 'DELETE FROM note WHERE FALSE',
  },
]

for (const kind of kinds) {
  const { name, sql, hasRoles } = kind
  const noReset = sql.canReset ? false : 'MySQL before 5.7.3 has no COM_RESET_CONNECTION'
  for (const { needsRoles, ...leftover } of leftovers) {
    const noRoles = needsRoles && !hasRoles ? 'there are no roles' : false
    const skip = leftover.isAnywhere ? false : noRoles || noReset
    test(`${name} takes back what an invocation did: ${leftover.name}`, { skip }, () =>
      assertNothingLeft(kind, leftover, commonWays),
    )
  }

  test(`${name} commits what an invocation inserts after one that had set autocommit to 0`, async () => {
    const { gateway, options } = await kind.gate()
    const handler = createLambdaHandler(kind, { ...options, max: 1 })
    for (const did of [['SET autocommit = 0'], ['SET autocommit = 0', "INSERT INTO note VALUES ('open')"]]) {
      await handler(async db => {
        const connection = await db.take()
        for (const statement of did) await connection.query(statement)
        connection.release()
      }, lambdaContext())
      await handler(db => db.query("INSERT INTO note VALUES ('kept')"), lambdaContext())
      const rows = await kind.administer('SELECT text FROM note')
      await kind.administer('DELETE FROM note')
      assert.deepEqual(
        rows.map(({ text }) => text),
        ['kept'],
      )
    }
    assert.equal(gateway.stats().connections, 1)
  })
}

test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})
