// What handlers leave running on a connection of MySQL or MariaDB.
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import type { Connection as CoreConnection } from 'mysql2'
import type { Connection } from 'mysql2/promise'

const long = 'SELECT SLEEP(30)'
const many =
  'SELECT a.column_name FROM information_schema.columns a, information_schema.columns b LIMIT 200000'

/** mysql2's own connection, behind its promises. */
const coreOf = (connection: Connection) =>
  (connection as unknown as { connection: CoreConnection }).connection

/** Each begins something, and leaves it as soon as it has begun. */
export const leavings: Readonly<Record<string, (connection: Connection) => unknown>> = {
  'a query that nobody awaits': connection => void connection.query(long),
  'a query with a callback': connection => void coreOf(connection).query(long, () => {}),
  'a query without listeners': connection => void coreOf(connection).query(long),
  'a query with listeners': connection =>
    void coreOf(connection)
      .query(long)
      .on('result', () => {})
      .on('error', () => {})
      .on('end', () => {}),
  async 'a half-read stream'(connection) {
    const stream = coreOf(connection).query(many).stream()
    await once(stream, 'data')
    stream.pause()
  },
  'LOAD DATA LOCAL INFILE of a stream that never ends': connection =>
    new Promise<void>(resolve => {
      const infileStreamFactory = () => {
        resolve()
        const stream = new PassThrough()
        stream.write('mine\n')
        return stream
      }
      coreOf(connection).query({ sql: "LOAD DATA LOCAL INFILE 'notes' INTO TABLE note", infileStreamFactory })
    }),
  'a prepared statement': connection => connection.prepare('SELECT ?'),
  'several statements of one query': connection =>
    void connection.query('SELECT 1; SELECT SLEEP(0.01); SELECT SLEEP(30); SELECT 2'),
}
