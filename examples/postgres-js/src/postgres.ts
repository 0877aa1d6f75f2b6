import { createTokenSource, trustedTls } from 'middy-rds-iam'
import postgres from 'postgres'

const { PGHOST: host = '', PGPORT = '5432', PGUSER: user = '', PGDATABASE: database = '' } = process.env
const port = Number(PGPORT)

/** Connects when it is first asked to. */
export const sql = postgres({
  // The same server in all three: the token is signed for it, and the certificate must name it.
  ...{ host, port, user, database },
  password: createTokenSource({ host, port, user }),
  ssl: await trustedTls({ host }),
  max: 4,
})
