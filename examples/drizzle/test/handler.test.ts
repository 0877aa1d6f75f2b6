import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startDatabase } from 'rds-iam-kit'

const server = await startDatabase({
  engine: 'postgres',
  users: ['orders_app'],
  setup:
    "CREATE TABLE note (id serial PRIMARY KEY, text text NOT NULL); INSERT INTO note (text) VALUES ('milk')",
})
Object.assign(process.env, server.environment)
const { database, handler } = await import('../src/handler.ts')
after(async () => {
  await database.close()
  await server.close()
})

/** As Lambda gives it, as far as the middleware reads it. */
const context = () => ({ getRemainingTimeInMillis: () => 3_000 }) as Parameters<typeof handler>[1]

test('gives the handler the ORM, and keeps its connection for the next invocation', async () => {
  assert.deepEqual(await handler({}, context()), [{ id: 1, text: 'milk' }])
  assert.deepEqual(await handler({}, context()), [{ id: 1, text: 'milk' }])
  assert.equal(server.stats().connections, 1)
})
