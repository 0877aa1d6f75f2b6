import { pgTable, serial, text } from 'drizzle-orm/pg-core'

export const memo = pgTable('memo', { id: serial().primaryKey(), text: text().notNull() })
