import mysql from 'mysql2/promise'

const {
  MYSQL_HOST: host = '',
  MYSQL_TCP_PORT: port,
  MYSQL_USER: user = '',
  MYSQL_DATABASE: database = '',
  DATABASE_TOKEN: token,
  DATABASE_CA: ca = '',
} = process.env
/** The driver and the handshake alone, with a token that somebody else signed. */
export const connected = mysql.createConnection({
  host,
  port: Number(port),
  user,
  database,
  authPlugins: { mysql_clear_password: () => async () => Buffer.from(`${token}\0`) },
  ssl: { ca, verifyIdentity: true },
})
