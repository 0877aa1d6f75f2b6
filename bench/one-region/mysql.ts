// The function as a container image has it, where no runtime brings the authorities of Amazon RDS.
import middy from '@middy/core'
import { iamMysql } from 'middy-rds-iam/mysql2'
import { roots } from 'middy-rds-iam/roots/eu-west-1'
import type { RowDataPacket } from 'mysql2/promise'

export const handler = middy<{ number: number }>()
  .use(iamMysql({ tls: { ca: roots } }))
  .handler(async ({ number }, { db }) => {
    const [rows] = await db.query<RowDataPacket[]>(
      'SELECT ? * 2 AS `double`, SUBSTRING_INDEX(CURRENT_USER(), "@", 1) AS user',
      [number],
    )
    return rows[0]
  })
