import middy from '@middy/core'
import { runTask, type Task } from '../../task.ts'
import { connected } from './connected.ts'

// What a warm invocation takes where nobody looks after the connection.
export const handler = middy<Task>().handler(async task => {
  const client = await connected
  return runTask(task, async statement => (await client.query(statement)).rows)
})
