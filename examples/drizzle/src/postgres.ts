import { drizzle } from 'drizzle-orm/node-postgres'
import { createPgPool } from 'middy-rds-iam/pg'

/** Reads PGHOST, PGUSER and so on, and connects when it is first asked to; in Lambda, at once. */
export const pool = createPgPool({ max: 4 })

export const db = drizzle(pool)
