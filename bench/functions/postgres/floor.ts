import pg from 'pg'

const { PGHOST: host, PGPORT: port, PGUSER: user, PGDATABASE: database } = process.env
const client = new pg.Client({
  host,
  port: Number(port),
  user,
  database,
  password: process.env.DATABASE_TOKEN,
  ssl: { ca: process.env.DATABASE_CA },
})
const connected = client.connect()

// What no function that reads a row through the driver can do without: neither middy nor a signature.
export const handler = async ({ number }: { number: number }) => {
  await connected
  const { rows } = await client.query('SELECT $1::int * 2 AS double, current_user AS user', [number])
  return rows[0]
}
