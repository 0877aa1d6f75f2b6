import middy from '@middy/core'
import { iamPg } from 'middy-rds-iam/pg'

export const handler = middy<{ number: number }>()
  .use(iamPg({ tls: { ca: process.env.DATABASE_CA } }))
  .handler(async ({ number }, { db }) => {
    const { rows } = await db.query('SELECT $1::int * 2 AS double, current_user AS user', [number])
    return rows[0]
  })
