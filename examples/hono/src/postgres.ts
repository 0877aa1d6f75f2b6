import { Hono } from 'hono'
import { handle } from 'hono/aws-lambda'
import { createPgPool } from 'middy-rds-iam/pg'

/** One for each execution environment. In Lambda, it connects while the function initialises. */
export const pool = createPgPool({ max: 4 })

export const app = new Hono()

app.get('/notes', async c => {
  const { rows } = await pool.query('SELECT id, text FROM note ORDER BY id')
  return c.json(rows)
})

app.post('/notes', async c => {
  const { text } = await c.req.json()
  if (typeof text !== 'string') return c.json({ error: 'text is missing' }, 400)
  const { rows } = await pool.query('INSERT INTO note (text) VALUES ($1) RETURNING id, text', [text])
  return c.json(rows[0], 201)
})

// Three queries side by side take three connections.
app.get('/overview', async c => {
  const [count, longest, latest] = await Promise.all([
    pool.query('SELECT count(*)::int AS value FROM note'),
    pool.query('SELECT max(length(text)) AS value FROM note'),
    pool.query('SELECT max(id) AS value FROM note'),
  ])
  return c.json({ count: count.rows[0].value, longest: longest.rows[0].value, latest: latest.rows[0].value })
})

export const handler = handle(app)
