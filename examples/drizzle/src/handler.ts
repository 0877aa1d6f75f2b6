import middy from '@middy/core'
import { drizzle } from 'drizzle-orm/node-postgres'
import { iamPgPool } from 'middy-rds-iam/pg'
import { pgNote } from './schema.ts'

/** Opens and keeps the connections. Exported, so that a test can close it. */
export const database = iamPgPool({ wrap: pool => drizzle(pool) })

/** The same with middy: the handler gets the ORM, made once for each pool. */
export const handler = middy()
  .use(database)
  .handler(async (_event, { db }) => db.select().from(pgNote))
