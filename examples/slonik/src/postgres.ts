import { createTokenSource, trustedTls } from 'middy-rds-iam'
import { createPool, stringifyDsn } from 'slonik'

const {
  PGHOST: host = '',
  PGPORT = '5432',
  PGUSER: username = '',
  PGDATABASE: databaseName = '',
} = process.env
const port = Number(PGPORT)

/** Connects at once, to read the types of the database. */
export const pool = await createPool(stringifyDsn({ host, port, username, databaseName }), {
  // The same server in all three: the token is signed for it, and the certificate must name it.
  password: createTokenSource({ host, port, user: username }),
  ssl: await trustedTls({ host }),
  maxPoolSize: 4,
})
