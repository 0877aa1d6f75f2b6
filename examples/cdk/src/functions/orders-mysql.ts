import middy from '@middy/core'
import { iamMysql } from 'middy-rds-iam/mysql2'

/** For MySQL and MariaDB: reads MYSQL_HOST, MYSQL_TCP_PORT, MYSQL_USER and MYSQL_DATABASE. */
export const handler = middy()
  .use(iamMysql())
  .handler(async (_event, { db }) => {
    const [rows] = await db.query('SELECT id, total FROM orders ORDER BY id')
    return rows
  })
