import { testNotes } from './notes.ts'

await testNotes({
  engine: 'mysql',
  setup: 'CREATE TABLE note (id int AUTO_INCREMENT PRIMARY KEY, text text NOT NULL)',
  load: () => import('../src/mysql.ts'),
  async kill(database) {
    const sessions = "SELECT id FROM information_schema.processlist WHERE user = 'orders_app'"
    for (const { id } of await database.query(sessions)) await database.query(`KILL ${id}`)
  },
})
