// The function as a container image has it, where no runtime brings the authorities of Amazon RDS.
import middy from '@middy/core'
import { iamPg } from 'middy-rds-iam/pg'
import { roots } from 'middy-rds-iam/roots/eu-west-1'

export const handler = middy<{ number: number }>()
  .use(iamPg({ tls: { ca: roots } }))
  .handler(async ({ number }, { db }) => {
    const { rows } = await db.query('SELECT $1::int * 2 AS double, current_user AS user', [number])
    return rows[0]
  })
