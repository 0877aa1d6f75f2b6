import { MikroORM } from '@mikro-orm/mysql'
import { mysqlOptions } from 'middy-rds-iam/mysql2'
import { Note } from './note.ts'

const driverOptions = await mysqlOptions()

/** Connects when it is first asked to. */
export const orm = new MikroORM({
  entities: [Note],
  // What mysql2 is told in the end. MikroORM itself reads the name of the database, too.
  driverOptions,
  dbName: driverOptions.database,
  pool: { max: 4 },
})
