import { afterAll, expect, test } from 'vitest'
import { connection, handler } from '../../src/handler.ts'

if (process.env.CLOSE === 'yes') afterAll(() => connection.close())

test('reads from a database that another process runs', async () => {
  expect(await handler({ customer: 7 }, {} as never)).toEqual([12])
})
