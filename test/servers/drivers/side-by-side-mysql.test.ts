// What connections and pools of mysql2 do, with the driver alone and with this package.
import { test } from 'node:test'
import middy from '@middy/core'
import mysql, { type Connection, type ConnectionOptions, type Pool } from 'mysql2/promise'
import { createMysqlPool, iamMysql, iamMysqlPool, mysqlOptions } from '../../../src/mysql2.ts'
import { findMysqlKinds, useMysql } from '../../support/database.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { compareSides, type Side, signerFor } from '../../support/side-by-side.ts'
import { mysqlPools } from './side-by-side/mysql-pool.ts'
import { mysqlQueries } from './side-by-side/mysql-queries.ts'
import { mysqlSessions } from './side-by-side/mysql-sessions.ts'

const { kinds, missing } = findMysqlKinds()

const apart = <Db>([stock, ...product]: readonly Side<Db>[]) => [stock as Side<Db>, product] as const

for (const kind of kinds) {
  const { mysql: server, gate } = await useMysql(kind)
  const { options } = await gate()
  // For LOAD DATA LOCAL, which servers of Amazon RDS allow.
  await server.query('SET GLOBAL local_infile = 1')
  const sign = signerFor(options)

  /** As AWS's documentation has it, verified. */
  const byHand: ConnectionOptions = {
    host: options.host,
    port: options.port,
    user: options.user,
    database: options.database,
    ssl: { ca: [options.tls.ca], verifyIdentity: true } as NonNullable<ConnectionOptions['ssl']>,
    authPlugins: { mysql_clear_password: () => async () => Buffer.from(`${await sign()}\0`) },
  }

  const connections: readonly Side<Connection>[] = [
    {
      name: 'createConnection',
      async use(client, run) {
        const db = await mysql.createConnection({ ...byHand, ...client })
        return run(db).finally(() => db.destroy())
      },
    },
    {
      name: 'iamMysql',
      async use(client, run) {
        const middleware = iamMysql({ ...options, client })
        const handler = middy()
          .use(middleware)
          .handler((_event, { db }) => run(db))
        return handler({}, lambdaContext() as never).finally(() => middleware.close())
      },
    },
    {
      name: 'mysqlOptions',
      async use(client, run) {
        const db = await mysql.createConnection({ ...(await mysqlOptions(options)), ...client })
        return run(db).finally(() => db.destroy())
      },
    },
  ]

  const pools: readonly Side<Pool>[] = [
    {
      name: 'createPool',
      async use(client, run) {
        const db = mysql.createPool({ ...byHand, ...client, connectionLimit: 2 })
        return run(db).finally(() => db.end().catch(() => {}))
      },
    },
    {
      name: 'iamMysqlPool',
      async use(client, run) {
        const middleware = iamMysqlPool({ ...options, client, max: 2 })
        const handler = middy()
          .use(middleware)
          .handler((_event, { db }) => run(db))
        return handler({}, lambdaContext() as never).finally(() => middleware.close())
      },
    },
    {
      name: 'createMysqlPool',
      async use(client, run) {
        const db = createMysqlPool({ ...options, client, max: 2 })
        return run(db).finally(() => db.close())
      },
    },
    {
      name: 'a pool of mysqlOptions',
      async use(client, run) {
        const db = mysql.createPool({ ...(await mysqlOptions(options)), ...client, connectionLimit: 2 })
        return run(db).finally(() => db.end().catch(() => {}))
      },
    },
  ]

  /** The first connection of each pool. */
  const pooled = pools.map(
    (side): Side<Connection> => ({
      name: `a connection of ${side.name}`,
      use: (client, run) =>
        side.use(client, async pool => {
          const db = await pool.getConnection()
          return run(db).finally(() => db.destroy())
        }),
    }),
  )

  const name = kind === 'mysql' ? `MySQL ${server.version}` : 'MariaDB'
  const behaviours = [...mysqlQueries, ...mysqlSessions]
  compareSides(`a connection on ${name}`, behaviours, ...apart(connections))
  compareSides(`a pool's connection on ${name}`, behaviours, ...apart(pooled))
  compareSides(`a pool on ${name}`, mysqlPools, ...apart(pools))
}

test('has been run on MySQL and MariaDB', { skip: missing === '' ? false : missing }, () => {})
