import middy from '@middy/core'
import { iamPg } from 'middy-rds-iam/pg'

/** Reads PGHOST, PGPORT, PGUSER and PGDATABASE, which serverless.yml sets. */
export const handler = middy()
  .use(iamPg())
  .handler(async (_event, { db }) => {
    const { rows } = await db.query('SELECT id, total FROM orders ORDER BY id')
    return rows
  })
