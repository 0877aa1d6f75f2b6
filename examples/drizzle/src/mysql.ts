import { drizzle } from 'drizzle-orm/mysql2'
import { createMysqlPool } from 'middy-rds-iam/mysql2'

/** Reads MYSQL_HOST, MYSQL_USER and so on, and connects when it is first asked to; in Lambda, at once. */
export const pool = createMysqlPool({ max: 4 })

export const db = drizzle(pool)
