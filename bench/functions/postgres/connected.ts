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
/** The driver and the handshake alone, with a token that somebody else signed. */
export const connected = client.connect().then(() => client)
