import middy from '@middy/core'
import { iamPg } from 'middy-rds-iam/pg'

/** Exported for a test that wants to close it; none has to. */
export const connection = iamPg()

export const handler = middy<{ customer: number; total?: number }>()
  .use(connection)
  .handler(async ({ customer, total }, { db }) => {
    if (total !== undefined)
      await db.query('INSERT INTO orders (customer, total) VALUES ($1, $2)', [customer, total])
    const { rows } = await db.query('SELECT total FROM orders WHERE customer = $1 ORDER BY id', [customer])
    return rows.map(({ total }) => total)
  })
