import type { RowDataPacket } from 'mysql2/promise'
import { connected } from './connected.ts'

// What no function that reads a row through the driver can do without: neither middy nor a signature.
export const handler = async ({ number }: { number: number }) => {
  const connection = await connected
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT ? * 2 AS `double`, SUBSTRING_INDEX(CURRENT_USER(), "@", 1) AS user',
    [number],
  )
  return rows[0]
}
