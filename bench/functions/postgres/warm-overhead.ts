// Measures, and is not measured.
import middy from '@middy/core'
import { iamPg } from 'middy-rds-iam/pg'
import { timeWarmInvocations, type WarmHandlers, type WarmRequest } from '../../warm-times.ts'
import { handler as handWritten } from './hand-written.ts'
import { handler as middleware } from './middleware.ts'

const handlers = {
  // A connection at module scope is just there.
  withoutQuery: [
    middy<{ number: number }>().handler(async ({ number }) => ({ double: number * 2 })),
    middy<{ number: number }>()
      .use(iamPg({ tls: { ca: process.env.DATABASE_CA } }))
      .handler(async ({ number }, { db }) => ({ double: db && number * 2 })),
  ],
  withQuery: [handWritten, middleware],
} as unknown as WarmHandlers

export const handler = (request: WarmRequest) => timeWarmInvocations(handlers, request)
