// The name that TLS asks the server for (SNI): a server that has several certificates chooses by it, in the clear.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import middy, { type MiddlewareObj } from '@middy/core'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { makeAuthority } from '../../../kit/src/index.ts'
import { createMysqlPool, iamMysql, iamMysqlPool, mysqlOptions } from '../../../src/mysql2.ts'
import { createPgPool, iamPg, iamPgPool, pgOptions, type RdsIamOptions } from '../../../src/pg.ts'
import { credentials } from '../../support/database.ts'
import { lambdaContext } from '../../support/lambda.ts'
import { startRecordingMysqlServer } from '../../support/recording-mysql-server.ts'
import { startRecordingServer } from '../../support/recording-server.ts'

const endpoint = { host: 'orders.c1x2.eu-west-1.rds.amazonaws.com', port: 5432 }
const authority = await makeAuthority('trusted')
const certificate = await authority.issue({ names: [endpoint.host, 'localhost'] })

const asMiddleware = (create: (options: RdsIamOptions) => object) => async (options: RdsIamOptions) => {
  const middleware = create({ ...options, prefetch: false }) as MiddlewareObj & { close(): Promise<void> }
  await middy()
    .use(middleware)
    .handler(() => {})(undefined, lambdaContext() as never)
  await middleware.close()
}

async function connectClient(options: object): Promise<void> {
  const client = new pg.Client(options)
  client.on('error', () => {})
  await client.connect()
  await client.end()
}

async function connectPool(options: object): Promise<void> {
  const pool = new pg.Pool(options)
  pool.on('error', () => {})
  const client = await pool.connect()
  client.release(true)
  await pool.end()
}

type Ways = Readonly<Record<string, (options: RdsIamOptions) => Promise<void>>>

/** Each way to a server, once. */
const ways: Readonly<Record<'postgres' | 'mysql', Ways>> = {
  postgres: {
    iamPg: asMiddleware(iamPg),
    iamPgPool: asMiddleware(iamPgPool),
    async createPgPool(options) {
      const pool = createPgPool(options)
      const client = await pool.connect()
      client.release()
      await pool.close()
    },
    async 'a client with the options of createPgPool’s pool'(options) {
      const pool = createPgPool(options)
      // The authorities are read with the pool's own first connection.
      await pool.query('SELECT 1')
      await connectClient(pool.options)
      await pool.close()
    },
    'a client of pg with pgOptions': async options => connectClient(await pgOptions(options)),
    'a pool of pg with pgOptions': async options => connectPool(await pgOptions(options)),
  },
  mysql: {
    iamMysql: asMiddleware(iamMysql as never),
    iamMysqlPool: asMiddleware(iamMysqlPool as never),
    async createMysqlPool(options) {
      const pool = createMysqlPool(options as never)
      const connection = await pool.getConnection()
      connection.release()
      await pool.close()
    },
    async 'a connection of mysql2 with mysqlOptions'(options) {
      const connection = await mysql.createConnection(await mysqlOptions(options as never))
      connection.destroy()
    },
    async 'a pool of mysql2 with mysqlOptions'(options) {
      const pool = mysql.createPool(await mysqlOptions(options as never))
      const connection = await pool.getConnection()
      connection.release()
      await pool.end()
    },
  },
}

const start = {
  postgres: () => startRecordingServer(certificate),
  mysql: () => startRecordingMysqlServer({ certificate }),
}

for (const engine of ['postgres', 'mysql'] as const) {
  for (const [way, connect] of Object.entries(ways[engine])) {
    for (const [title, host, given, expected] of [
      ['the host', 'localhost', undefined, 'localhost'],
      ['the endpoint behind another name', 'localhost', endpoint, endpoint.host],
      ['the endpoint behind an IP address', '127.0.0.1', endpoint, endpoint.host],
    ] as const) {
      test(`${way} asks TLS for ${title}`, async () => {
        const server = await start[engine]()
        await connect({
          ...{ host, port: server.port, user: 'app', region: 'eu-west-1', credentials },
          ...(given === undefined ? {} : { endpoint: given }),
          tls: { ca: authority.ca },
        })
        assert.deepEqual([...new Set(server.serverNames())], [expected])
        assert.equal(server.serverNames().length, server.connections())
      })
    }
  }
}
