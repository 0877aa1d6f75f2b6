import { Signer } from '@aws-sdk/rds-signer'
import middy from '@middy/core'
import mysql, { type RowDataPacket } from 'mysql2/promise'

const {
  MYSQL_HOST: host = '',
  MYSQL_TCP_PORT: port,
  MYSQL_USER: user = '',
  MYSQL_DATABASE: database = '',
} = process.env

export const handler = middy<{ number: number }>().handler(async ({ number }) => {
  const signer = new Signer({ hostname: host, port: Number(port), username: user })
  const connection = await mysql.createConnection({
    host,
    port: Number(port),
    user,
    database,
    password: await signer.getAuthToken(),
    enableCleartextPlugin: true,
    ssl: { ca: process.env.DATABASE_CA ?? '', verifyIdentity: true },
  })
  try {
    const [rows] = await connection.query<RowDataPacket[]>(
      'SELECT ? * 2 AS `double`, SUBSTRING_INDEX(CURRENT_USER(), "@", 1) AS user',
      [number],
    )
    return rows[0]
  } finally {
    await connection.end()
  }
})
