import { Signer } from '@aws-sdk/rds-signer'
import middy from '@middy/core'
import pg from 'pg'

const { PGHOST: host = '', PGPORT: port, PGUSER: user = '', PGDATABASE: database = '' } = process.env
const signer = new Signer({ hostname: host, port: Number(port), username: user })

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({
    host,
    port: Number(port),
    user,
    database,
    password: () => signer.getAuthToken(),
    ssl: { ca: process.env.DATABASE_CA, rejectUnauthorized: true },
    connectionTimeoutMillis: 5000,
  })
  // The next invocation connects again.
  client.on('error', forget)
  await client.connect()
  return client
}

function forget(): void {
  connected = undefined
}

// At module scope, so that it runs during INIT.
let connected: Promise<pg.Client> | undefined = connect()
connected.catch(forget)

export const handler = middy<{ number: number }>().handler(async ({ number }) => {
  connected ??= connect()
  const client = await connected
  const { rows } = await client.query('SELECT $1::int * 2 AS double, current_user AS user', [number])
  return rows[0]
})
