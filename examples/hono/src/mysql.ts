import { Hono } from 'hono'
import { handle } from 'hono/aws-lambda'
import { createMysqlPool } from 'middy-rds-iam/mysql2'
import type { ResultSetHeader, RowDataPacket } from 'mysql2'

/** One for each execution environment. In Lambda, it connects while the function initialises. */
export const pool = createMysqlPool({ max: 4 })

export const app = new Hono()

app.get('/notes', async c => {
  const [rows] = await pool.query<RowDataPacket[]>('SELECT id, text FROM note ORDER BY id')
  return c.json(rows)
})

app.post('/notes', async c => {
  const { text } = await c.req.json()
  if (typeof text !== 'string') return c.json({ error: 'text is missing' }, 400)
  const [{ insertId }] = await pool.execute<ResultSetHeader>('INSERT INTO note (text) VALUES (?)', [text])
  return c.json({ id: insertId, text }, 201)
})

// Three queries side by side take three connections.
app.get('/overview', async c => {
  const [count, longest, latest] = await Promise.all([
    pool.query<RowDataPacket[]>('SELECT count(*) AS value FROM note'),
    pool.query<RowDataPacket[]>('SELECT max(char_length(text)) AS value FROM note'),
    pool.query<RowDataPacket[]>('SELECT max(id) AS value FROM note'),
  ])
  return c.json({
    count: count[0][0]?.value,
    longest: longest[0][0]?.value,
    latest: latest[0][0]?.value,
  })
})

export const handler = handle(app)
