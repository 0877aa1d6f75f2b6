import { createServer, type IncomingMessage } from 'node:http'
import { createPgPool } from 'middy-rds-iam/pg'

const pool = createPgPool({ max: 4 })

async function answer({ method, url }: IncomingMessage): Promise<{ status?: number; body: unknown }> {
  switch (`${method} ${url}`) {
    // For the load balancer. It asks the process, not the database: no restart mends a database.
    case 'GET /health':
      return { body: 'ok' }
    case 'GET /visits': {
      const { rows } = await pool.query('SELECT count(*)::int AS count FROM visit')
      return { body: rows[0] }
    }
    case 'POST /visits': {
      const { rows } = await pool.query('INSERT INTO visit DEFAULT VALUES RETURNING id')
      return { status: 201, body: rows[0] }
    }
    default:
      return { status: 404, body: 'not found' }
  }
}

// Longer than the 60 seconds that a load balancer of AWS keeps a connection, so that it is the one to close.
const server = createServer({ keepAliveTimeout: 65_000 }, async (request, response) => {
  const { status = 200, body } = await answer(request).catch(error => {
    console.error(error)
    return { status: 500, body: 'internal error' }
  })
  // Otherwise the server would wait for the client to close the connection, once it is told to stop.
  if (!server.listening) response.setHeader('connection', 'close')
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
})

server.listen(Number(process.env.PORT ?? 8080), () => {
  const address = server.address()
  console.log(`listening on ${typeof address === 'object' ? address?.port : address}`)
})

// ECS, Fargate and systemd send it first, and SIGKILL where the process is still there later.
process.once('SIGTERM', async () => {
  // Takes no new request, and waits for those under way to be answered.
  await new Promise(resolve => server.close(resolve))
  await pool.close()
})
