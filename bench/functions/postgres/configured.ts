import middy from '@middy/core'
import { iamPg, iamPgPool } from 'middy-rds-iam/pg'
import { type Row, readOptions, runTask, type Task } from '../../task.ts'

interface Context {
  readonly db: { query(statement: string): Promise<{ rows: Row[] }> }
}

const run = (task: Task, { db }: Context) =>
  runTask(task, async statement => (await db.query(statement)).rows)

export const handler =
  process.env.KIND === 'pool'
    ? middy<Task>().use(iamPgPool(readOptions())).handler(run)
    : middy<Task>().use(iamPg(readOptions())).handler(run)
