import { createMysqlPool } from 'middy-rds-iam/mysql2'
import type { RowDataPacket } from 'mysql2'

// A script needs no `close()`: an idle connection does not keep the process alive.
const pool = createMysqlPool({ max: 1 })
const [rows] = await pool.query<RowDataPacket[]>('SELECT count(*) AS count FROM visit')
console.log(rows[0]?.count)
