import * as mysql from 'drizzle-orm/mysql-core'
import * as pg from 'drizzle-orm/pg-core'

export const pgNote = pg.pgTable('note', { id: pg.serial().primaryKey(), text: pg.text().notNull() })

export const mysqlNote = mysql.mysqlTable('note', {
  id: mysql.int().autoincrement().primaryKey(),
  text: mysql.text().notNull(),
})
