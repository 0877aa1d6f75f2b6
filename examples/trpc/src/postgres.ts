import { awsLambdaRequestHandler } from '@trpc/server/adapters/aws-lambda'
import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import { createPgPool } from 'middy-rds-iam/pg'
import { z } from 'zod'
import { logError, t } from './trpc.ts'

interface Note {
  id: number
  text: string
}

/** One for each execution environment. In Lambda, it connects while the function initialises. */
export const pool = createPgPool({ max: 4 })

export const router = t.router({
  list: t.procedure.query(async () => {
    const { rows } = await pool.query<Note>('SELECT id, text FROM note ORDER BY id')
    return rows
  }),
  count: t.procedure.query(async () => {
    const { rows } = await pool.query<{ count: number }>('SELECT count(*)::int AS count FROM note')
    return rows[0]?.count
  }),
  add: t.procedure.input(z.object({ text: z.string().min(1) })).mutation(async ({ input }) => {
    const { rows } = await pool.query<Note>('INSERT INTO note (text) VALUES ($1) RETURNING id, text', [
      input.text,
    ])
    return rows[0]
  }),
})

export type AppRouter = typeof router

export const handler = awsLambdaRequestHandler<AppRouter, APIGatewayProxyEventV2>({
  router,
  onError: logError,
  // A batch runs its calls side by side, on the connections of one pool.
  maxBatchSize: 10,
})
