import { Signer } from '@aws-sdk/rds-signer'
import middy from '@middy/core'
import pg from 'pg'

const { PGHOST: host = '', PGPORT: port, PGUSER: user = '', PGDATABASE: database = '' } = process.env

export const handler = middy<{ number: number }>().handler(async ({ number }) => {
  const signer = new Signer({ hostname: host, port: Number(port), username: user })
  const client = new pg.Client({
    host,
    port: Number(port),
    user,
    database,
    password: await signer.getAuthToken(),
    ssl: { ca: process.env.DATABASE_CA, rejectUnauthorized: true },
  })
  await client.connect()
  try {
    const { rows } = await client.query('SELECT $1::int * 2 AS double, current_user AS user', [number])
    return rows[0]
  } finally {
    await client.end()
  }
})
