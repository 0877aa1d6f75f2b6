import knex, { type Knex } from 'knex'
import { mysqlOptions } from 'middy-rds-iam/mysql2'

/** Knex asks for the options once, before its first connection. */
export const db = knex({
  client: 'mysql2',
  // The types of `mysql2` are not quite those that Knex has for its options.
  connection: async () => (await mysqlOptions()) as Knex.MySql2ConnectionConfig,
  pool: { min: 0, max: 4 },
})
