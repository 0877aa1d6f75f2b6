// The assertions of this file are made by the compiler: `npm run types` fails where one does not hold.
import { test } from 'node:test'
import type { GenericLogger } from '@aws-lambda-powertools/commons/types'
import { Logger } from '@aws-lambda-powertools/logger'
import { Metrics } from '@aws-lambda-powertools/metrics'
import { fromCognitoIdentity, fromEnv, fromTemporaryCredentials } from '@aws-sdk/credential-providers'
import middy from '@middy/core'
import type { Connection } from 'mysql2/promise'
import type { Client } from 'pg'
import { RdsIamError, type RdsIamErrorCode, type RdsIamEvent } from '../../src/index.ts'
import { type createMysqlPool, type IamMysqlPool, iamMysql, iamMysqlPool } from '../../src/mysql2.ts'
import { createPgPool, type IamPgPool, iamPg, iamPgPool, pgOptions, type RdsIamLogger } from '../../src/pg.ts'

/** Compiles only where both types are the same, `any` being the same as nothing else. */
function same<Expected, Actual>(
  ..._: (<T>() => T extends Expected ? 1 : 2) extends <T>() => T extends Actual ? 1 : 2 ? [] : [never]
): void {}

declare const token: { value: string }

/** Never runs: a wrong option would throw. */
function _compile(): void {
  middy()
    .use(iamPg())
    .handler(async (_event, context) => {
      same<Client, typeof context.db>()
      same<string, typeof context.awsRequestId>()
      // @ts-expect-error: there is nothing else on the context
      context.database
    })

  middy()
    .use([iamPg({ contextKey: 'orders' }), iamPgPool({ contextKey: 'stock' })])
    .handler(async (_event, context) => {
      same<Client, typeof context.orders>()
      same<IamPgPool, typeof context.stock>()
      // @ts-expect-error: the default name is not used
      context.db
    })

  middy<{ id: number }, string>()
    .use(iamPg({ contextKey: 'orders' }))
    .use(iamPgPool())
    .handler(async (event, context) => {
      same<number, typeof event.id>()
      same<IamPgPool, typeof context.db>()
      return context.orders.user ?? ''
    })

  middy()
    .use(iamPgPool({ contextKey: 'orders', wrap: pool => ({ count: () => pool.totalCount }) }))
    .use(iamMysql({ wrap: connection => new Map([[1, connection]]) }))
    .handler(async (_event, context) => {
      same<{ count: () => number }, typeof context.orders>()
      same<Map<number, Connection>, typeof context.db>()
    })
  // A pool is what it says it is, without a cast.
  same<IamPgPool, ReturnType<typeof createPgPool>>()
  same<IamMysqlPool, ReturnType<typeof createMysqlPool>>()
  // @ts-expect-error: what Middy has a context for, a pool by itself has not
  createPgPool({ contextKey: 'db' })
  // @ts-expect-error: whoever makes the connections decides how many
  pgOptions({ max: 3 })

  iamPg({ logger: new Logger(), client: { application_name: 'orders' }, tls: { ca: process.env.CA } })
  iamPg({ logger: console, credentials: { accessKeyId: 'a', secretAccessKey: 'b' }, pingAfterIdleMs: false })
  iamPg({ credentials: fromTemporaryCredentials({ params: { RoleArn: 'a' } }) })
  iamPg({ credentials: fromCognitoIdentity({ identityId: 'a' }) })
  iamPg({ credentials: fromEnv() })
  iamPg({ metrics: new Metrics() })
  iamMysqlPool({
    metrics: { addMetric: (name: string, unit: string, value: number) => `${name}${unit}${value}` },
  })
  // @ts-expect-error: metrics are added
  iamPg({ metrics: { count() {} } })
  iamPg({ signer: ({ host, port }) => `${host}:${port}/?` })
  iamPgPool({ client: { idleTimeoutMillis: 1_000 } })

  middy()
    .use(iamMysql())
    .use([iamMysqlPool({ contextKey: 'stock' }), iamPg({ contextKey: 'orders' })])
    .handler(async (_event, context) => {
      same<Connection, typeof context.db>()
      same<IamMysqlPool, typeof context.stock>()
      same<Client, typeof context.orders>()
      // @ts-expect-error: the connection is no any
      context.db.nonsense
      const [rows] = await context.db.execute('select ?', [1])
      return rows
    })

  iamMysql({ logger: new Logger(), client: { multipleStatements: true, timezone: 'Z', typeCast: false } })
  iamMysqlPool({ client: { maxIdle: 1, idleTimeout: 1_000, queueLimit: 5 } })
  // @ts-expect-error: an authentication token takes the place of a password
  iamMysql({ client: { password: token.value } })
  // @ts-expect-error: must not compile, there is no way to turn verification off
  iamMysql({ client: { ssl: { rejectUnauthorized: false } } })
  // @ts-expect-error: nor by an address
  iamMysqlPool({ client: { uri: 'mysql://localhost' } })

  // @ts-expect-error: an authentication token takes the place of a password
  iamPg({ password: token.value })
  // @ts-expect-error: must not compile, there is no way to turn verification off
  iamPg({ tls: { rejectUnauthorized: false } })
  // @ts-expect-error: nor by the driver's own options
  iamPg({ client: { ssl: false } })
  // @ts-expect-error: nor by a connection string
  iamPgPool({ client: { connectionString: 'postgres://localhost' } })
  // @ts-expect-error: the name of the endpoint chooses a reader
  iamPg({ targetSessionAttrs: 'standby' })
  // @ts-expect-error: not a zero to turn it off, but false
  iamPg({ pingAfterIdleMs: true })
}

test('types are checked by the compiler', () => {
  const toLogger = (logger: GenericLogger): RdsIamLogger => logger
  toLogger(new Logger())
  const code: RdsIamErrorCode = new RdsIamError('RDS_IAM_OPTIONS', 'message').code
  same<RdsIamErrorCode, typeof code>()
  const durationOf = (event: RdsIamEvent): number => {
    switch (event.event) {
      case 'connection:opened':
      case 'connection:checked':
      case 'connection:read-only':
      case 'token:signed':
        return event.durationMs
      case 'connection:failed':
        same<RdsIamErrorCode, typeof event.code>()
        return event.durationMs
      default:
        // @ts-expect-error: the others have none
        return event.durationMs
    }
  }
  same<(event: RdsIamEvent) => number, typeof durationOf>()
})
