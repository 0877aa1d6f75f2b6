import mysql, { type RowDataPacket } from 'mysql2/promise'

const {
  MYSQL_HOST: host = '',
  MYSQL_TCP_PORT: port,
  MYSQL_USER: user = '',
  MYSQL_DATABASE: database = '',
  DATABASE_TOKEN: token,
  DATABASE_CA: ca = '',
} = process.env
const connected = mysql.createConnection({
  host,
  port: Number(port),
  user,
  database,
  authPlugins: { mysql_clear_password: () => async () => Buffer.from(`${token}\0`) },
  ssl: { ca, verifyIdentity: true },
})

// What no function that reads a row through the driver can do without: neither middy nor a signature.
export const handler = async ({ number }: { number: number }) => {
  const connection = await connected
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT ? * 2 AS `double`, SUBSTRING_INDEX(CURRENT_USER(), "@", 1) AS user',
    [number],
  )
  return rows[0]
}
