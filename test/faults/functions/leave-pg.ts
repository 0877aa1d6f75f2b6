// What handlers leave running on a connection of PostgreSQL, each with what its users have at hand.
import { once } from 'node:events'
import pg from 'pg'
import copy from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'

const long = 'SELECT pg_sleep(30)'
const many = 'SELECT generate_series(1, 1000000)'

/** Each begins something, and leaves it as soon as it has begun. */
export const leavings: Readonly<Record<string, (client: pg.Client) => unknown>> = {
  'a query that nobody awaits': client => void client.query(long),
  'a query with a callback': client => void client.query(long, () => {}),
  'a pg.Query without listeners': client => void client.query(new pg.Query(long)),
  'a pg.Query with listeners': client =>
    void client
      .query(new pg.Query(long))
      .on('row', () => {})
      .on('error', () => {})
      .on('end', () => {}),
  'an open cursor': client => client.query(new Cursor(many)).read(5),
  async 'a half-read QueryStream'(client) {
    const stream = client.query(new QueryStream(many))
    await once(stream, 'data')
    stream.pause()
  },
  async 'an unfinished COPY FROM STDIN'(client) {
    const stream = client.query(copy.from('COPY note FROM STDIN'))
    await new Promise(resolve => stream.write('mine\n', resolve))
  },
  async 'a half-read COPY TO STDOUT'(client) {
    const stream = client.query(copy.to(`COPY (${many}) TO STDOUT`))
    await once(stream, 'data')
    stream.pause()
  },
  'several queries of a pipeline'(client) {
    for (let count = 0; count < 3; count += 1) client.query(long)
  },
  LISTEN: client => client.query('LISTEN news'),
}
