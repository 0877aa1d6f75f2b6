import { mysqlOptions } from 'middy-rds-iam/mysql2'
import { Sequelize } from 'sequelize'
import { defineNote } from './note.ts'

const dialectOptions = await mysqlOptions()

/** Connects when it is first asked to. */
export const sequelize = new Sequelize({
  dialect: 'mysql',
  // Sequelize itself reads it for statements about tables.
  database: dialectOptions.database,
  dialectOptions,
  pool: { max: 4 },
  logging: false,
})

export const Note = defineNote(sequelize)
