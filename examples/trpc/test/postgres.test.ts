import { testNotes } from './notes.ts'

await testNotes({
  engine: 'postgres',
  setup: 'CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL)',
  load: () => import('../src/postgres.ts'),
  async kill(database) {
    await database.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'",
    )
  },
})
