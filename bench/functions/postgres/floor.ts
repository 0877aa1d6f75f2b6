import { connected } from './connected.ts'

// What no function that reads a row through the driver can do without: neither middy nor a signature.
export const handler = async ({ number }: { number: number }) => {
  const client = await connected
  const { rows } = await client.query('SELECT $1::int * 2 AS double, current_user AS user', [number])
  return rows[0]
}
