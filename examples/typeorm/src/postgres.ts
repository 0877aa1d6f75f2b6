import { pgOptions } from 'middy-rds-iam/pg'
import { DataSource } from 'typeorm'
import { Note } from './note.ts'

/** Reads PGHOST, PGUSER and so on; `dataSource.initialize()` connects. */
export const dataSource = new DataSource({
  type: 'postgres',
  entities: [Note],
  poolSize: 4,
  extra: await pgOptions(),
})
