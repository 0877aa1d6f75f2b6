// Whether a server takes writes, as MySQL and MariaDB say it.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import mysql, { type Connection } from 'mysql2'
import type { Mysql } from '../../../kit/src/database/mysql.ts'
import { takesWrites } from '../../../src/drivers/mysql2/role.ts'
import { findMysqlKinds } from '../../support/database.ts'
import { startMysql } from '../../support/servers.ts'

const { kinds, missing } = findMysqlKinds()
if (missing !== '') test('the role of a server of MySQL and MariaDB', { skip: missing }, () => {})

async function connect({ port }: Mysql, options: object = {}): Promise<Connection> {
  const connection = mysql.createConnection({ host: '127.0.0.1', port, user: 'root', ...options })
  // Its server may end first.
  connection.on('error', () => {})
  await connection.promise().connect()
  after(() => connection.destroy())
  return connection
}

for (const kind of kinds) {
  const server = await startMysql({ kind })
  after(() => server.stop())

  test(`${server.name} takes writes unless it is read-only, however rows are read`, async () => {
    for (const options of [{}, { rowsAsArray: true }, { typeCast: () => null }, { nestTables: '_' }]) {
      const connection = await connect(server, options)
      assert.equal(await takesWrites(connection), true)
      await server.query('SET GLOBAL read_only = 1')
      assert.equal(await takesWrites(connection), false)
      await server.query('SET GLOBAL read_only = 0')
    }
  })

  test(`${server.name} that was lost has nothing to say`, async () => {
    const connection = await connect(server)
    await server.query(`KILL ${connection.threadId}`)
    await assert.rejects(takesWrites(connection))
  })
}

if (kinds.includes('mariadb')) {
  test('MariaDB with a read-only InnoDB, as readers of Aurora have, takes no writes', async () => {
    const server = await startMysql({ kind: 'mariadb', settings: { 'innodb-read-only': 'ON' } })
    after(() => server.stop())
    const connection = await connect(server)
    const [[row]] = (await connection.promise().query('SELECT @@read_only AS value')) as [
      { value: number }[],
      never,
    ]
    assert.equal(row?.value, 0)
    assert.equal(await takesWrites(connection), false)
  })
}

test('a server that knows no such variables is taken as it is', async () => {
  const failing = (error: object) =>
    ({ query: (_sql: string, tell: (error: object) => void) => tell(error) }) as unknown as Connection
  assert.equal(await takesWrites(failing({ errno: 1193, code: 'ER_UNKNOWN_SYSTEM_VARIABLE' })), true)
  await assert.rejects(takesWrites(failing({ code: 'PROTOCOL_CONNECTION_LOST' })))
})
