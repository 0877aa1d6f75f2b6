import middy from '@middy/core'
import type { RowDataPacket } from 'mysql2/promise'
import { runTask, type Task } from '../../task.ts'
import { connected } from './connected.ts'

// What a warm invocation takes where nobody looks after the connection.
export const handler = middy<Task>().handler(async task => {
  const connection = await connected
  return runTask(task, async statement => {
    const [rows] = await connection.query<RowDataPacket[]>(statement)
    return rows
  })
})
