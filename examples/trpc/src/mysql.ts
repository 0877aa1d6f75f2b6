import { awsLambdaRequestHandler } from '@trpc/server/adapters/aws-lambda'
import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import { createMysqlPool } from 'middy-rds-iam/mysql2'
import type { ResultSetHeader, RowDataPacket } from 'mysql2'
import { z } from 'zod'
import { logError, t } from './trpc.ts'

interface Note {
  id: number
  text: string
}

/** One for each execution environment. In Lambda, it connects while the function initialises. */
export const pool = createMysqlPool({ max: 4 })

export const router = t.router({
  list: t.procedure.query(async (): Promise<Note[]> => {
    const [rows] = await pool.query<(Note & RowDataPacket)[]>('SELECT id, text FROM note ORDER BY id')
    return rows
  }),
  count: t.procedure.query(async (): Promise<number | undefined> => {
    const [rows] = await pool.query<RowDataPacket[]>('SELECT count(*) AS count FROM note')
    return rows[0]?.count
  }),
  add: t.procedure.input(z.object({ text: z.string().min(1) })).mutation(async ({ input }): Promise<Note> => {
    const [{ insertId }] = await pool.execute<ResultSetHeader>('INSERT INTO note (text) VALUES (?)', [
      input.text,
    ])
    return { id: insertId, text: input.text }
  }),
})

export type AppRouter = typeof router

export const handler = awsLambdaRequestHandler<AppRouter, APIGatewayProxyEventV2>({
  router,
  onError: logError,
  // A batch runs its calls side by side, on the connections of one pool.
  maxBatchSize: 10,
})
