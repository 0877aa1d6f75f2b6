import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'mysql',
  schema: './schema/mysql.ts',
  out: './migrations/drizzle-mysql',
  // By `rds-iam exec`. Generating needs none.
  dbCredentials: { url: process.env.DATABASE_URL ?? '' },
})
