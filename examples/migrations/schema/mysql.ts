import { int, mysqlTable, text } from 'drizzle-orm/mysql-core'

export const memo = mysqlTable('memo', { id: int().autoincrement().primaryKey(), text: text().notNull() })
