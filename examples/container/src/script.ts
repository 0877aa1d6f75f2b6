import { createPgPool } from 'middy-rds-iam/pg'

// A script needs no `close()`: an idle connection does not keep the process alive.
const pool = createPgPool({ max: 1 })
const { rows } = await pool.query('SELECT count(*)::int AS count FROM visit')
console.log(rows[0].count)
