import { Kysely, PostgresDialect } from 'kysely'
import { createPgPool } from 'middy-rds-iam/pg'
import type { Schema } from './schema.ts'

/** Reads PGHOST, PGUSER and so on, and connects when it is first asked to; in Lambda, at once. */
export const pool = createPgPool({ max: 4 })

export const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
