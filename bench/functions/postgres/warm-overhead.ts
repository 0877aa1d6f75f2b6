// Measures, and is not measured.
import middy from '@middy/core'
import { iamPg } from 'middy-rds-iam/pg'
import { timeWarmInvocations, type WarmHandlers, type WarmRequest } from '../../warm-times.ts'
import { handler as handWritten } from './hand-written.ts'

// Without isolation, as the handler that is written by hand.
const options = { tls: { ca: process.env.DATABASE_CA }, resetSession: false }

const middleware = middy<{ number: number }>()
  .use(iamPg(options))
  .handler(async ({ number }, { db }) => {
    const { rows } = await db.query('SELECT $1::int * 2 AS double, current_user AS user', [number])
    return rows[0]
  })

const handlers = {
  // A connection at module scope is just there.
  withoutQuery: [
    middy<{ number: number }>().handler(async ({ number }) => ({ double: number * 2 })),
    middy<{ number: number }>()
      .use(iamPg(options))
      .handler(async ({ number }, { db }) => ({ double: db && number * 2 })),
  ],
  withQuery: [handWritten, middleware],
} as unknown as WarmHandlers

export const handler = (request: WarmRequest) => timeWarmInvocations(handlers, request)
