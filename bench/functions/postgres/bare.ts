import middy from '@middy/core'
import pg from 'pg'
import { runTask, type Task } from '../../task.ts'

const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env
const client = new pg.Client({
  host,
  port: Number(port),
  user,
  database,
  password: process.env.DATABASE_TOKEN,
  ssl: { ca: process.env.DATABASE_CA },
})
const connected = client.connect()

// What a warm invocation takes where nobody looks after the connection.
export const handler = middy<Task>().handler(async task => {
  await connected
  return runTask(task, async statement => (await client.query(statement)).rows)
})
