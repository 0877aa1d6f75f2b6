import { setImmediate } from 'node:timers/promises'
import { startDatabase } from 'rds-iam-kit'
import { afterAll, expect, test } from 'vitest'

const database = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup: 'CREATE TABLE orders (id serial PRIMARY KEY, customer integer, total integer)',
})
afterAll(() => database.close())
// The handler reads its options when it is loaded.
Object.assign(process.env, database.environment)
const { handler } = await import('../src/handler.ts')

test('writes and reads the orders of a customer', async () => {
  await database.query('INSERT INTO orders (customer, total) VALUES (7, 12), (8, 30)')
  expect(await handler({ customer: 7, total: 5 }, {} as never)).toEqual([12, 5])
})

test('takes the same connection for each invocation', async () => {
  await handler({ customer: 7 }, {} as never)
  expect(database.stats().admitted).toBe(1)
})

test('goes on after the database ended the connection', async () => {
  await database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders_app'")
  while (database.stats().open > 0) await setImmediate()
  expect(await handler({ customer: 8 }, {} as never)).toEqual([30])
  expect(database.stats().admitted).toBe(2)
})
