import { defineConfig } from 'drizzle-kit'

export default defineConfig({
  dialect: 'postgresql',
  schema: './schema/postgres.ts',
  out: './migrations/drizzle-postgres',
  // By `rds-iam exec`. Generating needs none.
  dbCredentials: { url: process.env.DATABASE_URL ?? '' },
})
