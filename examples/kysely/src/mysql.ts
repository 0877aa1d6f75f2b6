import { Kysely, MysqlDialect } from 'kysely'
import { createMysqlPool } from 'middy-rds-iam/mysql2'
import { createConnection } from 'mysql2'
import type { Schema } from './schema.ts'

/** Reads MYSQL_HOST, MYSQL_USER and so on, and connects when it is first asked to; in Lambda, at once. */
export const pool = createMysqlPool({ max: 4 })

/** Kysely takes the pool with callbacks. It cancels queries over connections like the pool's own. */
export const db = new Kysely<Schema>({
  dialect: new MysqlDialect({ pool: pool.pool, controlConnection: createConnection }),
})
