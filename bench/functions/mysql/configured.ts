import middy from '@middy/core'
import { iamMysql, iamMysqlPool } from 'middy-rds-iam/mysql2'
import type { RowDataPacket } from 'mysql2/promise'
import { readOptions, runTask, type Task } from '../../task.ts'

interface Context {
  readonly db: { query<Rows extends RowDataPacket[]>(statement: string): Promise<[Rows, unknown]> }
}

const run = (task: Task, { db }: Context) =>
  runTask(task, async statement => {
    const [rows] = await db.query<RowDataPacket[]>(statement)
    return rows
  })

export const handler =
  process.env.KIND === 'pool'
    ? middy<Task>().use(iamMysqlPool(readOptions())).handler(run)
    : middy<Task>().use(iamMysql(readOptions())).handler(run)
