import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connection, handler } from '../../src/handler.ts'

if (process.env.CLOSE === 'yes') after(() => connection.close())

test('reads from a database that another process runs', async () => {
  assert.deepEqual(await handler({ customer: 7 }, {} as never), [12])
})
