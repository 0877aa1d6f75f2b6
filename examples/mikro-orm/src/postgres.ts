import { MikroORM } from '@mikro-orm/postgresql'
import { pgOptions } from 'middy-rds-iam/pg'
import { Note } from './note.ts'

const driverOptions = await pgOptions()

/** Connects when it is first asked to. */
export const orm = new MikroORM({
  entities: [Note],
  // What pg is told in the end. MikroORM itself reads the name of the database, too.
  driverOptions,
  dbName: driverOptions.database,
  pool: { max: 4 },
})
