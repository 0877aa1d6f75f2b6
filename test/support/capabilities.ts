import { once } from 'node:events'
import { connect } from 'node:tls'
import mysql from 'mysql2/promise'

type Query = (sql: string) => Promise<readonly Record<string, unknown>[]>

/**
 * Whether PostgreSQL tells apart what a membership gives. Where it does, who makes roles may grant only those
 * that were given with ADMIN; before, any.
 */
export async function hasMembershipOptions(query: Query): Promise<boolean> {
  const rows = await query(
    `SELECT FROM pg_attribute WHERE attrelid = 'pg_auth_members'::regclass AND attname = 'inherit_option'`,
  )
  return rows.length > 0
}

/** Whether PostgreSQL takes TLS without being asked for it first. */
export async function speaksDirectTls({
  port,
  ca,
}: {
  readonly port: number
  readonly ca: string
}): Promise<boolean> {
  const socket = connect({
    host: 'localhost',
    port,
    ca,
    servername: 'localhost',
    ALPNProtocols: ['postgresql'],
  })
  try {
    await once(socket, 'secureConnect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** Creates a user with what `CREATE USER` can say of it, and only `GRANT USAGE` could before MySQL 5.7. */
export async function createMysqlUser(query: Query, user: string, clause: string): Promise<void> {
  try {
    await query(`CREATE USER ${user} ${clause}`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ER_PARSE_ERROR') throw error
    await query(`CREATE USER ${user}; GRANT USAGE ON *.* TO ${user} ${clause}`)
  }
}

/** Whether MySQL or MariaDB can put a session back: has COM_RESET_CONNECTION. */
export async function canResetSession(port: number): Promise<boolean> {
  const connection = await mysql.createConnection({ host: '127.0.0.1', port, user: 'root' })
  try {
    await connection.reset()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ER_UNKNOWN_COM_ERROR') throw error
    return false
  } finally {
    connection.destroy()
  }
}

/** Whether MySQL or MariaDB has roles. */
export const hasMysqlRoles = (query: Query): Promise<boolean> =>
  query('SELECT CURRENT_ROLE()').then(
    () => true,
    () => false,
  )

/** How many characters the name of a user of MySQL or MariaDB may have. */
export async function findNameLimit(query: Query): Promise<number> {
  const [row] = await query(
    `SELECT character_maximum_length AS value FROM information_schema.columns
     WHERE table_schema = 'mysql' AND table_name = 'user' AND LOWER(column_name) = 'user'`,
  )
  return Number(row?.value)
}
