import middy from '@middy/core'
import mysql, { type RowDataPacket } from 'mysql2/promise'
import { runTask, type Task } from '../../task.ts'

const {
  MYSQL_HOST: host = '',
  MYSQL_TCP_PORT: port,
  MYSQL_USER: user = '',
  MYSQL_DATABASE: database = '',
  DATABASE_TOKEN: token,
  DATABASE_CA: ca = '',
} = process.env
const connected = mysql.createConnection({
  host,
  port: Number(port),
  user,
  database,
  authPlugins: { mysql_clear_password: () => async () => Buffer.from(`${token}\0`) },
  ssl: { ca, verifyIdentity: true },
})

// What a warm invocation takes where nobody looks after the connection.
export const handler = middy<Task>().handler(async task => {
  const connection = await connected
  return runTask(task, async statement => {
    const [rows] = await connection.query<RowDataPacket[]>(statement)
    return rows
  })
})
