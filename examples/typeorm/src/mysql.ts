import { mysqlOptions } from 'middy-rds-iam/mysql2'
import { DataSource } from 'typeorm'
import { Note } from './note.ts'

/** Reads MYSQL_HOST, MYSQL_USER and so on; `dataSource.initialize()` connects. */
export const dataSource = new DataSource({
  type: 'mysql',
  entities: [Note],
  poolSize: 4,
  extra: await mysqlOptions(),
})
