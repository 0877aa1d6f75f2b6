import middy from '@middy/core'
import type { QueryResult } from 'mysql2/promise'
import { iamMysql } from '../../../../src/mysql2.ts'

/** Runs the statements that it is given, and answers with the result of the last one. */
export const handler = middy<readonly string[]>()
  .use(iamMysql({ tls: { ca: process.env.DATABASE_CA } }))
  .handler(async (statements, { db }) => {
    let result: QueryResult | undefined
    for (const sql of statements) [result] = await db.query(sql)
    return result
  })
