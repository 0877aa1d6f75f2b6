import { Signer } from '@aws-sdk/rds-signer'
import middy from '@middy/core'
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise'

const {
  MYSQL_HOST: host = '',
  MYSQL_TCP_PORT: port,
  MYSQL_USER: user = '',
  MYSQL_DATABASE: database = '',
} = process.env
const signer = new Signer({ hostname: host, port: Number(port), username: user })

async function connect(): Promise<Connection> {
  const connection = await mysql.createConnection({
    host,
    port: Number(port),
    user,
    database,
    // mysql2 sends no password in clear text by itself.
    authPlugins: { mysql_clear_password: () => async () => Buffer.from(`${await signer.getAuthToken()}\0`) },
    ssl: { ca: process.env.DATABASE_CA ?? '', verifyIdentity: true },
    connectTimeout: 5000,
  })
  // The next invocation connects again.
  connection.on('error', forget)
  return connection
}

function forget(): void {
  connected = undefined
}

// At module scope, so that it runs during INIT.
let connected: Promise<Connection> | undefined = connect()
connected.catch(forget)

export const handler = middy<{ number: number }>().handler(async ({ number }) => {
  connected ??= connect()
  const connection = await connected
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT ? * 2 AS `double`, SUBSTRING_INDEX(CURRENT_USER(), "@", 1) AS user',
    [number],
  )
  return rows[0]
})
