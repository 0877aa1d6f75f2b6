import knex from 'knex'
import { pgOptions } from 'middy-rds-iam/pg'

/** Knex asks for the options once, before its first connection. */
export const db = knex({ client: 'pg', connection: () => pgOptions(), pool: { min: 0, max: 4 } })
