// Measures, and is not measured.
import middy from '@middy/core'
import { iamMysql } from 'middy-rds-iam/mysql2'
import type { RowDataPacket } from 'mysql2/promise'
import { timeWarmInvocations, type WarmHandlers, type WarmRequest } from '../../warm-times.ts'
import { handler as handWritten } from './hand-written.ts'

// Without isolation, as the handler that is written by hand.
const options = { tls: { ca: process.env.DATABASE_CA }, resetSession: false }

const middleware = middy<{ number: number }>()
  .use(iamMysql(options))
  .handler(async ({ number }, { db }) => {
    const [rows] = await db.query<RowDataPacket[]>(
      'SELECT ? * 2 AS `double`, SUBSTRING_INDEX(CURRENT_USER(), "@", 1) AS user',
      [number],
    )
    return rows[0]
  })

const handlers = {
  // A connection at module scope is just there.
  withoutQuery: [
    middy<{ number: number }>().handler(async ({ number }) => ({ double: number * 2 })),
    middy<{ number: number }>()
      .use(iamMysql(options))
      .handler(async ({ number }, { db }) => ({ double: db && number * 2 })),
  ],
  withQuery: [handWritten, middleware],
} as unknown as WarmHandlers

export const handler = (request: WarmRequest) => timeWarmInvocations(handlers, request)
