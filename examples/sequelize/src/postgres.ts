import { pgOptions } from 'middy-rds-iam/pg'
import { Sequelize } from 'sequelize'
import { defineNote } from './note.ts'

const { host, port, user, database, password, ...dialectOptions } = await pgOptions()

/** Connects when it is first asked to. */
export const sequelize = new Sequelize({
  dialect: 'postgres',
  ...{ host, port, database, username: user },
  // Sequelize passes the function on to pg as it is, but its types know only texts.
  password: password as unknown as string,
  // Sequelize takes `ssl` from here alone.
  dialectOptions,
  pool: { max: 4 },
  logging: false,
})

export const Note = defineNote(sequelize)
