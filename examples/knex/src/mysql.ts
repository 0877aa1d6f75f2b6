import knex, { type Knex } from 'knex'
import { createMysqlPool } from 'middy-rds-iam/mysql2'

/** Reads MYSQL_HOST, MYSQL_USER and so on, and connects when it is first asked to; in Lambda, at once. */
export const pool = createMysqlPool({ max: 4 })

/** Knex takes the pool with callbacks, whose types in `mysql2` are not quite those that Knex has for it. */
export const db = knex({ client: 'mysql2', connectionPool: pool.pool as Knex.ConnectionPool })
